//! Events for those who ask: in order, without gaps and repeats, by poll and by stream.

mod support;

mod pull {
    mod crash;
    mod cursors;
    mod polling;
    mod publishers;
    mod reader;
    mod stalled;
    mod streaming;
    mod waiting;
}
