"""What errors become: a message, what to do, an exit code. Lambda's own words stay."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError, ReadTimeoutError

from lambent_cli.failures import Failure, as_failure, unreachable


def test_an_error_of_lambda_keeps_its_words() -> None:
    answer = {"Error": {"Code": "ResourceNotFoundException", "Message": "Function not found: arn:x"}}
    failure = as_failure(ClientError(answer, "GetFunction"))
    assert failure is not None
    assert failure.text() == (
        "Error: ResourceNotFoundException: Function not found: arn:x\n`lambent ls` shows which functions there are.\n"
    )
    assert failure.exit_code == 3


def test_an_error_without_advice_is_one_line() -> None:
    failure = as_failure(ClientError({"Error": {"Code": "X", "Message": "y"}}, "Invoke"))
    assert failure is not None
    assert failure.text() == "Error: X: y\n"


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1/2015-03-31/functions"),
        ReadTimeoutError(endpoint_url="http://127.0.0.1:1/x"),
    ],
)
def test_no_answer_names_the_endpoint_and_what_to_do(error: Exception) -> None:
    failure = as_failure(error)
    assert failure is not None
    assert failure.message.startswith("no answer from http://127.0.0.1:1 (")
    assert "lambent up" in failure.fix
    assert failure.exit_code == 4


def test_wrong_parameters_are_wrong_usage() -> None:
    failure = as_failure(ParamValidationError(report="Invalid length for parameter FunctionName"))
    assert failure is not None
    assert "Invalid length for parameter FunctionName" in failure.message
    assert failure.exit_code == 2


def test_a_failure_is_itself() -> None:
    failure = unreachable("http://x", "refused")
    assert as_failure(failure) is failure


def test_a_defect_of_ours_is_no_failure() -> None:
    assert as_failure(KeyError("x")) is None
    assert Failure("m").exit_code == 2
