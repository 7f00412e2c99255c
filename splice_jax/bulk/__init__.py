"""Bulk jobs: millions of images by worker processes or a Ray cluster, resumable at any moment.

A maker, which comes from a higher floor, says what is made of one image; everything here is the same for all makers:

    inputs     which images, one at a time            tasks      what passes between a job and its workers
    manifest   what became of each                    worker     one core, one device, one image at a time
    engine     what is left, handed out, recorded     pool       workers that are processes of this machine
    progress   what is said meanwhile                 cluster    workers that are Ray's
    job        what a folder's results were made by

Nothing is imported here: a worker must choose its threads before NumPy does.
"""
