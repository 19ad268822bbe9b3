//! How far a run is, on a terminal; nothing where standard error is none.

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bar's length, in steps.
const STEPS: f64 = 1_000.0;

/// One bar, for what is going on now. It disappears when dropped.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn new() -> Progress {
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        // A template is only wrong where this file is; the default is no worse then.
        if let Ok(style) = ProgressStyle::with_template("{prefix:>24} [{bar:30}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        bar.set_length(STEPS as u64);
        Progress { bar }
    }

    /// Begins with something else.
    pub(super) fn begin(&self, scenario: &str, what: &str) {
        self.bar.set_position(0);
        self.bar.set_prefix(format!("{scenario}: {what}"));
        self.bar.set_message("");
    }

    /// Shows how much of it is done, from 0 to 1, and what was counted.
    pub(super) fn show(&self, done: f64, accepted: u64, arrived: u64) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        self.bar.set_position((done.clamp(0.0, 1.0) * STEPS) as u64);
        let (accepted, arrived) = (HumanCount(accepted), HumanCount(arrived));
        self.bar.set_message(format!("{accepted} accepted, {arrived} arrived"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
