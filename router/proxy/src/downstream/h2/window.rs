use super::frame::Reason;

/// What a client may send of a body, or of all bodies together (RFC 9113 §5.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    left: usize,
    /// Taken by a backend, and not told to the client yet.
    freed: usize,
}

/// The largest window that the protocol allows.
pub(super) const MAX: i64 = (1 << 31) - 1;

// === impl Window ===

impl Window {
    pub(super) const fn new(size: u32) -> Self {
        Self { left: size as usize, freed: 0 }
    }

    /// So many bytes have come.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Reason> {
        self.left = self.left.checked_sub(bytes).ok_or(Reason::FlowControlError)?;
        Ok(())
    }

    /// So many bytes may come anew; the update that the client is to be told, when it is worth a frame.
    pub(super) fn free(&mut self, bytes: usize) -> Option<u32> {
        self.freed += bytes;
        if self.freed == 0 || self.freed < self.left {
            return None;
        }
        let update = std::mem::take(&mut self.freed);
        self.left += update;
        u32::try_from(update).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_opened_again_when_half_of_it_is_used() {
        let mut window = Window::new(100);
        window.take(40).unwrap();
        assert_eq!(window.free(40), None);
        window.take(20).unwrap();
        assert_eq!(window.free(20), Some(60));
        assert_eq!(window.take(101), Err(Reason::FlowControlError));
    }

    #[test]
    fn a_window_that_is_used_up_is_opened_with_whatever_is_free() {
        let mut window = Window::new(100);
        window.take(100).unwrap();
        assert_eq!(window.free(0), None);
        assert_eq!(window.free(1), Some(1));
    }
}
