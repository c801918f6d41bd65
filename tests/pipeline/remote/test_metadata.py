import pytest

from pipeline.remote.metadata import MESSAGES, frame, read_artifact, unframe

# As ML Metadata's wire format has it: field 1 of the answer, an Artifact of id 7 (field 1), uri (field 3), and a custom
# property (field 5: key 1, value 2, whose field 3 is the string); its type_id (field 2) is not used here.
URI = b"minio://b/root/run-1/compare/1f0c/report"
PROPERTY = b"\x0a\x12store_session_info" + b"\x12\x04" + b"\x1a\x02{}"
ARTIFACT = b"\x08\x07" + b"\x10\x05" + b"\x1a" + bytes([len(URI)]) + URI + b"\x2a" + bytes([len(PROPERTY)]) + PROPERTY
ANSWER = b"\x0a" + bytes([len(ARTIFACT)]) + ARTIFACT
TRAILERS = b"grpc-status:0\r\ngrpc-message:\r\n"


def test_an_answer_of_ml_metadata_is_understood() -> None:
    answer = MESSAGES["GetArtifactsByContextResponse"].FromString(ANSWER)
    artifact = read_artifact(answer.artifacts[0], "team-a")
    assert artifact is not None
    assert (artifact.number, artifact.step, artifact.output) == (7, "compare", "report")
    assert (artifact.uri, artifact.namespace, artifact.session) == (URI.decode(), "team-a", "{}")


def test_a_request_is_what_ml_metadata_expects() -> None:
    request = MESSAGES["GetContextByTypeAndNameRequest"](type_name="system.PipelineRun", context_name="r")
    assert request.SerializeToString() == b"\x0a\x12system.PipelineRun\x12\x01r"
    assert frame(request.SerializeToString())[:5] == b"\x00\x00\x00\x00\x17"


def test_an_address_that_is_no_steps_output_is_passed_over() -> None:
    assert read_artifact(MESSAGES["Artifact"](id=1, uri="gs://bucket/data.csv"), "") is None


def test_frames_hold_a_message_and_trailers() -> None:
    body = frame(b"one") + frame(b"two") + frame(TRAILERS, kind=0x80)
    assert unframe(body) == (b"onetwo", {"grpc-status": "0", "grpc-message": ""})
    assert unframe(b"") == (b"", {})


@pytest.mark.parametrize("body", [b"\x00\x00", frame(b"message")[:-1], b"<html>"])
def test_what_is_no_frame_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="frame"):
        unframe(body)


def test_the_state_and_the_pod_of_an_execution_are_understood() -> None:
    # Field 1 of the answer, an Execution of last_known_state (field 3) RUNNING, with a custom property (field 5).
    pod = b"\x0a\x08pod_name" + b"\x12\x04" + b"\x1a\x02p1"
    execution = b"\x08\x09" + b"\x10\x0d" + b"\x18\x02" + b"\x2a" + bytes([len(pod)]) + pod
    answer = MESSAGES["GetExecutionsByContextResponse"].FromString(b"\x0a" + bytes([len(execution)]) + execution)
    (found,) = answer.executions
    assert (found.id, found.last_known_state) == (9, 2)
    assert {entry.key: entry.value.string_value for entry in found.custom_properties} == {"pod_name": "p1"}
