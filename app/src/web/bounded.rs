//! What is kept in memory up to a number of bytes, the oldest forgotten first.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values that are cheap to clone, under keys that always mean the same value.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    bytes_max: usize,
    inner: Mutex<Inner<K, V>>,
}

#[derive(Debug)]
struct Inner<K, V> {
    kept: HashMap<K, (V, usize)>,
    order: VecDeque<K>,
    bytes: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Bounded<K, V> {
    /// Keeps at most so many bytes; with 0 nothing.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let inner = Inner { kept: HashMap::new(), order: VecDeque::new(), bytes: 0 };
        Self { bytes_max, inner: Mutex::new(inner) }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.lock().kept.get(key).map(|(value, _)| value.clone())
    }

    /// Keeps a value of so many bytes, unless it alone would push out much of the rest.
    pub(crate) fn put(&self, key: K, value: V, bytes: usize) {
        if bytes > self.bytes_max / 4 {
            return;
        }
        let mut inner = self.lock();
        if inner.kept.insert(key.clone(), (value, bytes)).is_none() {
            inner.order.push_back(key);
            inner.bytes += bytes;
        }
        while inner.bytes > self.bytes_max {
            let Some(oldest) = inner.order.pop_front() else { break };
            if let Some((_, bytes)) = inner.kept.remove(&oldest) {
                inner.bytes -= bytes;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Bounded;

    #[test]
    fn the_oldest_go_first_and_the_bound_holds() {
        let cache = Bounded::new(100_000);
        for key in 0..100 {
            cache.put(key, (), 9_000);
        }
        assert!(cache.get(&0).is_none() && cache.get(&99).is_some());
        assert!(cache.lock().bytes <= 100_000);
        cache.put(7, (), 60_000);
        assert!(cache.get(&7).is_none(), "one must not push out all others");
        let none = Bounded::new(0);
        none.put(1, (), 10);
        assert!(none.get(&1).is_none());
    }
}
