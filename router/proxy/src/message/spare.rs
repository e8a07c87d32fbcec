//! Buffers of heads that are done with, kept for the next ones.
//!
//! A worker computes many requests before it sends the first one, and then lets go of them all at once; a general
//! allocator keeps only a few pieces of a size at hand and takes the slow way for the others.

use super::outline::Place;
use std::cell::RefCell;

pub(super) type Lines = Vec<(Place, Place)>;

/// Buffers of one kind that are kept on a thread.
const KEPT_MAX: usize = 128;

/// Larger ones are given back.
const TEXT_BYTES_MAX: usize = 2 * 1024;
const LINES_MAX: usize = 32;

/// What usual heads need.
const TEXT_BYTES_USUAL: usize = 512;
const LINES_USUAL: usize = 16;

thread_local! {
    static TEXTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static LINES: RefCell<Vec<Lines>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for a usual head.
pub(super) fn text() -> Vec<u8> {
    TEXTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(TEXT_BYTES_USUAL))
}

/// An empty list with room for usual lines.
pub(super) fn lines() -> Lines {
    LINES.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(LINES_USUAL))
}

/// Keeps what is of use.
pub(super) fn keep(mut text: Vec<u8>, mut lines: Lines) {
    if (1..=TEXT_BYTES_MAX).contains(&text.capacity()) {
        text.clear();
        put(&TEXTS, text);
    }
    if (1..=LINES_MAX).contains(&lines.capacity()) {
        lines.clear();
        put(&LINES, lines);
    }
}

fn put<T>(kept: &'static std::thread::LocalKey<RefCell<Vec<T>>>, item: T) {
    // A thread that ends keeps nothing.
    let _ = kept.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT_MAX {
            kept.push(item);
        }
    });
}
