from splice_jax.evaluation.rows import main_row, names, row_name


def test_a_row_is_named_by_its_method_and_whether_a_crf_follows() -> None:
    assert [row_name("sgn", crf) for crf in ("none", "pydensecrf", "jax")] == ["sgn", "sgn+crf", "sgn+crf"]
    assert names({"rows": [{"method": "sgn", "crf": "jax"}, {"method": "noi1", "crf": "none"}]}) == ["sgn+crf", "noi1"]


def test_the_main_row_is_the_first_one_that_looks_after_its_crf() -> None:
    assert main_row(["sgn", "sgn+crf", "all_spliced"]) == "sgn+crf"
    assert main_row(["all_spliced", "noi1", "sgn", "sgn+crf"]) == "noi1"
    assert main_row(["all_spliced", "random"]) == "all_spliced"
