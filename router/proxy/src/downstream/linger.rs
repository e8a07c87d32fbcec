use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time,
};

/// What a client may still send after the last answer, and how long, so that it can read the answer before a reset.
const BYTES_MAX: usize = 1024 * 1024;
const TIME_MAX: Duration = Duration::from_secs(1);

/// Read at once.
const READ_SIZE: usize = 8 * 1024;

/// After the last answer: takes in what the client is still sending. A socket that is closed with unread bytes is
/// reset, and the reset may overtake the answer.
pub(super) async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let mut sink = vec![0; READ_SIZE];
    let mut left = BYTES_MAX;
    let draining = async {
        while let Ok(count @ 1..) = stream.read(&mut sink).await {
            left = left.saturating_sub(count);
            if left == 0 {
                break;
            }
        }
    };
    // Whether the client was done or not makes no difference any more.
    let _ = time::timeout(TIME_MAX, draining).await;
}
