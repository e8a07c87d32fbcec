use prometheus::IntCounter;
use std::{
    io::Write,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Lines that were not written yet. Whoever adds one waits for nobody: the lock is held only while bytes are copied in
/// memory, and where the reader of the log is too slow, lines are lost and counted.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is a first line, or half of the room is used.
    filled: Condvar,
    /// The last line is written.
    emptied: Condvar,
    lost: IntCounter,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    is_closed: bool,
    is_done: bool,
}

/// More is lost.
const BYTES_MAX: usize = 1024 * 1024;

/// How long the first line waits for more, so that a busy router writes many at once.
const BATCH_TIME: Duration = Duration::from_millis(50);

/// How long the end of the process waits for the reader of the log.
const FINISH_TIME: Duration = Duration::from_secs(1);

// === impl Queue ===

impl Queue {
    pub(super) fn new(lost: IntCounter) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), emptied: Condvar::new(), lost }
    }

    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        let before = state.lines.len();
        let after = before + line.len();
        if state.is_closed || after > BYTES_MAX {
            self.lost.inc();
            return;
        }
        state.lines.extend_from_slice(line);
        drop(state);
        if before == 0 || before < BYTES_MAX / 2 && after >= BYTES_MAX / 2 {
            self.filled.notify_one();
        }
    }

    /// Writes lines until the queue is closed and empty.
    pub(super) fn write_to(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        while self.take(&mut batch) {
            if out.write_all(&batch).and_then(|()| out.flush()).is_err() {
                self.lost.inc_by(memchr::memchr_iter(b'\n', &batch).count() as u64);
            }
            batch.clear();
        }
        self.lock().is_done = true;
        self.emptied.notify_all();
    }

    /// Waits for lines, and takes all that are there; false at the end.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let lock = self.lock();
        let waits = |state: &mut State| state.lines.is_empty() && !state.is_closed;
        let lock = self.filled.wait_while(lock, waits).unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State| state.lines.len() < BYTES_MAX / 2 && !state.is_closed;
        let waited = self.filled.wait_timeout_while(lock, BATCH_TIME, waits);
        let (mut lock, _) = waited.unwrap_or_else(PoisonError::into_inner);
        mem::swap(&mut lock.lines, batch);
        !batch.is_empty()
    }

    /// Takes no more lines; those that are there are still written.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_one();
    }

    /// Closes, and waits a moment for the last line.
    pub(super) fn finish(&self) {
        self.close();
        // A reader that is stuck must not keep the process.
        drop(self.emptied.wait_timeout_while(self.lock(), FINISH_TIME, |state| !state.is_done));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io,
        sync::{Arc, mpsc},
        thread,
    };

    fn queue() -> Arc<Queue> {
        Arc::new(Queue::new(IntCounter::new("lost", "lost").unwrap()))
    }

    /// Takes a batch only when it is asked to.
    struct Slow(mpsc::Receiver<()>, mpsc::Sender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.1.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_stuck_holds_nobody_up_and_what_is_lost_is_counted() {
        let queue = queue();
        let (go, asked) = mpsc::channel();
        let (written, batches) = mpsc::channel();
        let writer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.write_to(Slow(asked, written)))
        };
        let line = [b'x'; 1023].into_iter().chain([b'\n']).collect::<Vec<_>>();
        for _ in 0..5_000 {
            queue.push(&line);
        }
        queue.close();
        for _ in 0..3 {
            // It may be done already.
            let _ = go.send(());
        }
        writer.join().unwrap();
        let kept: usize = batches.try_iter().map(|batch| batch.len() / line.len()).sum();
        assert!((1024..=3 * 1024).contains(&kept), "{kept} lines fit into memory");
        assert_eq!(u64::try_from(kept).unwrap() + queue.lost.get(), 5_000);
    }

    #[test]
    fn lines_of_a_standard_output_that_is_gone_are_lost_and_counted() {
        let queue = queue();
        queue.push(b"1\n");
        queue.push(b"2\n");
        queue.close();
        let (_, nobody) = mpsc::channel();
        queue.write_to(Slow(nobody, mpsc::channel().0));
        assert_eq!(queue.lost.get(), 2);
        queue.finish();
    }
}
