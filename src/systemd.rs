//! What a service manager is told: that the process is ready, that it lives, that it stops. Without
//! one (`NOTIFY_SOCKET` not set), nobody.

use std::time::Duration;

use az::SaturatingAs;
use sd_notify::NotifyState;

/// It does its work now.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
    if let Some(limit) = sd_notify::watchdog_enabled() {
        tokio::spawn(live(limit / 2));
    }
}

/// It ends, within `longest` if nothing goes wrong.
pub(crate) fn stopping(longest: Duration) {
    let micros = longest.as_micros().saturating_as::<u32>();
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros)]);
}

/// As long as timers fire and tasks run.
async fn live(interval: Duration) {
    loop {
        tell(&[NotifyState::Watchdog]);
        tokio::time::sleep(interval).await;
    }
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
