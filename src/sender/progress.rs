//! How far an attempt has come. Kept outside the attempt's own future, so that it is still
//! there when the time runs out and that future is dropped.

use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderName;

use super::connection::SharedConnection;
use super::stream::Meter;
use crate::clock::Clock;
use crate::domain::{Phase, Timestamp, Timing};

pub(super) struct Progress<'a> {
    clock: &'a Clock,
    started: Timestamp,
    /// `None` before the first, so that choosing a connection counts for none of them.
    phase: Option<Phase>,
    phase_started: Timestamp,
    timing: Timing,
    /// Of the HTTP/1 connection in use: it knows when the request has been written.
    meter: Option<Arc<Meter>>,
    /// The HTTP/2 connection in use, which other attempts share.
    shared: Option<SharedConnection>,
    /// Headers of the answer to keep beside those that are always kept.
    wanted: &'a [HeaderName],
}

impl<'a> Progress<'a> {
    pub(super) fn new(clock: &'a Clock, wanted: &'a [HeaderName]) -> Progress<'a> {
        let now = clock.now();
        Progress {
            clock,
            started: now,
            phase: None,
            phase_started: now,
            timing: Timing::default(),
            meter: None,
            shared: None,
            wanted,
        }
    }

    pub(super) fn wanted(&self) -> &'a [HeaderName] {
        self.wanted
    }

    /// Ends the phase before and begins this one.
    pub(super) fn enter(&mut self, phase: Phase) {
        let now = self.clock.now();
        self.count(now);
        self.phase = Some(phase);
        self.phase_started = now;
    }

    /// Begins sending over an HTTP/1 connection.
    pub(super) fn send_over(&mut self, meter: Arc<Meter>) {
        self.enter(Phase::Send);
        self.meter = Some(meter);
        self.shared = None;
    }

    /// Begins sending over a shared connection, where writing and waiting can't be told apart.
    pub(super) fn send_over_shared(&mut self, connection: SharedConnection) {
        self.enter(Phase::Wait);
        self.meter = None;
        self.shared = Some(connection);
    }

    /// The phase that the attempt is in.
    pub(super) fn phase(&self) -> Phase {
        let written = || self.meter.as_ref().is_some_and(|meter| meter.request_written());
        match self.phase {
            Some(Phase::Send) if written() => Phase::Wait,
            Some(phase) => phase,
            None => Phase::Resolve,
        }
    }

    /// The shared connection that the attempt is using.
    pub(super) fn shared(&self) -> Option<&SharedConnection> {
        self.shared.as_ref()
    }

    /// The whole duration, and that of each phase.
    pub(super) fn finish(mut self) -> (Duration, Timing) {
        let now = self.clock.now();
        self.count(now);
        (now.since(self.started), self.timing)
    }

    fn count(&mut self, now: Timestamp) {
        let Some(phase) = self.phase else { return };
        let passed = u64::try_from(now.since(self.phase_started).as_micros()).unwrap_or(u64::MAX);
        let total = match phase {
            Phase::Resolve => &mut self.timing.resolve_us,
            Phase::Connect => &mut self.timing.connect_us,
            Phase::Tls => &mut self.timing.tls_us,
            Phase::Send | Phase::Wait => &mut self.timing.wait_us,
            Phase::Receive => &mut self.timing.receive_us,
        };
        *total = total.saturating_add(passed);
    }
}
