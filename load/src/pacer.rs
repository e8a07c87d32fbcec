//! Starts requests when they are due, whatever has become of earlier ones.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use crate::schedule::Arrival;

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Every arrival was due.
    Completed,
    /// It was told to stop.
    Interrupted,
}

/// Calls `launch` for each arrival at its time, and returns after `length` or when told to stop.
///
/// This blocks its thread: a thread's sleep is precise to some 0.1 ms, an async runtime's timer to 1 ms.
pub fn pace(
    arrivals: impl Iterator<Item = Arrival>,
    length: Duration,
    stop: &Receiver<()>,
    mut launch: impl FnMut(Instant, Arrival),
) -> End {
    let begun = Instant::now();
    for arrival in arrivals {
        let due = begun + arrival.offset;
        if is_stopped_before(due, stop) {
            return End::Interrupted;
        }
        launch(due, arrival);
    }
    if is_stopped_before(begun + length, stop) { End::Interrupted } else { End::Completed }
}

/// Waits until the time has come; a driver that is late still listens.
fn is_stopped_before(due: Instant, stop: &Receiver<()>) -> bool {
    loop {
        match stop.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) if Instant::now() >= due => return false,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_ms(count: u64) -> impl Iterator<Item = Arrival> {
        (0..count).map(|n| Arrival { offset: Duration::from_millis(n), stage: 0 })
    }

    #[test]
    fn no_arrival_is_early_and_a_slow_launch_loses_none() {
        let (_stop, stopped) = std::sync::mpsc::channel();
        let mut offsets = vec![];
        let begun = Instant::now();
        let end = pace(every_ms(30), Duration::from_millis(40), &stopped, |due, arrival| {
            assert!(Instant::now() >= due);
            if arrival.offset.is_zero() {
                while begun.elapsed() < Duration::from_millis(20) {}
            }
            offsets.push(arrival.offset);
        });
        assert_eq!((end, offsets.len()), (End::Completed, 30));
        assert!(begun.elapsed() >= Duration::from_millis(40));
    }

    #[test]
    fn it_stops_when_told_or_when_nobody_can_tell_any_more() {
        let (stop, stopped) = std::sync::mpsc::channel();
        let mut count = 0;
        let end = pace(every_ms(10_000), Duration::from_secs(10), &stopped, |_, _| {
            count += 1;
            if count == 3 {
                stop.send(()).unwrap();
            }
        });
        assert_eq!((end, count), (End::Interrupted, 3));
        drop(stop);
        assert_eq!(pace(every_ms(10), Duration::from_secs(10), &stopped, |_, _| {}), End::Interrupted);
    }
}
