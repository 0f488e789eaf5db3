"""The trainer's own kernels compute what the formulas say, also divided over ranks."""

import pytest

from integration.trainer.programs import run_program
from ports import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def failures() -> dict[str, str]:
    """Tracebacks of the checks that two ranks made, empty for those that passed."""
    value: dict[str, str] = run_program("kernels_in_ranks.py", str(free_port()))
    return value


def test_a_rotation_is_a_product_of_complex_numbers(failures: dict[str, str]) -> None:
    assert failures["check_rotation"] == ""


def test_the_gradient_of_a_rotation_turns_back(failures: dict[str, str]) -> None:
    assert failures["check_gradient_of_rotation"] == ""


def test_a_part_of_a_tensor_is_drawn_as_in_the_whole_one(failures: dict[str, str]) -> None:
    assert failures["check_normal_numbers"] == ""


def test_a_text_is_drawn_from_its_seed_without_repeating_three_tokens(
    failures: dict[str, str],
) -> None:
    assert failures["check_sampling"] == ""


def test_the_loss_is_that_of_the_ids_without_padding_rows(failures: dict[str, str]) -> None:
    assert failures["check_cross_entropy"] == ""


def test_a_divided_sequence_attends_to_all_that_is_before_it(failures: dict[str, str]) -> None:
    assert failures["check_attention"] == ""


def test_what_is_forgotten_is_computed_again_for_the_gradients(failures: dict[str, str]) -> None:
    assert failures["check_recomputation"] == ""


def test_copies_of_tokens_are_in_the_order_of_their_experts_and_add_up_again(
    failures: dict[str, str],
) -> None:
    assert failures["check_token_copies"] == ""
