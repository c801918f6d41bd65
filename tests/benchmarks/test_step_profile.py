from benchmarks.step_profile import report, sum_by_kind

EVENTS = [
    ("PartitionedCall/stem_conv_1/convolution:_MklNativeConv2D", 3.0),
    ("PartitionedCall/gradient_tape/stem_conv_1/Conv2DBackpropFilter:_MklNativeConv2DBackpropFilter#id=7#", 5.0),
    ("PartitionedCall/stem_bn_1/FusedBatchNormV3:_MklNativeFusedBatchNormV3", 2.0),
    ("PartitionedCall/stem_conv_1/convolution:_MklNativeConv2D", 6.0),
    ("ExecutorState::Process", 100.0),
    ("ParallelFor", 1.0),
]


def test_the_time_of_operations_is_added_up_by_kind_and_the_executors_own_is_not() -> None:
    assert sum_by_kind(EVENTS, 2) == {
        "_MklNativeConv2D": 4.5,
        "_MklNativeConv2DBackpropFilter": 2.5,
        "_MklNativeFusedBatchNormV3": 1.0,
    }


def test_the_share_of_convolutions_counts_all_their_kinds() -> None:
    assert "share convolutions-stride-2 0.875" in report(2, sum_by_kind(EVENTS, 2))


def test_what_is_not_shown_singly_is_told_as_a_sum() -> None:
    told = report(1, {f"Kind{number}": 1.0 for number in range(20)})

    assert "| 8 others | 8.00 | 40.0% |" in told
    assert "| all | 20.0 | |" in told
