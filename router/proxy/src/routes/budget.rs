use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Instant,
};

/// How many attempts beyond the first a route may make: a fifth of its requests, and ten a second besides.
///
/// Retries help against a fault here and there; when everything fails they only add load. Each request deposits a
/// part of a retry, each retry takes a whole one when it is scheduled (Finagle's and Linkerd's retry budget).
#[derive(Debug)]
pub struct Budget {
    /// Thousandths of a retry.
    balance: AtomicI64,
    /// Milliseconds since `epoch` when the share of time was deposited last.
    deposited_at: AtomicU64,
    epoch: Instant,
}

const RETRY: i64 = 1_000;
const PER_REQUEST: i64 = RETRY / 5;
const PER_MILLISECOND: i64 = 10 * RETRY / 1_000;

/// What can be saved up: ten seconds of time, or five hundred requests.
const BALANCE_MAX: i64 = 100 * RETRY;

// === impl Budget ===

impl Default for Budget {
    fn default() -> Self {
        Self { balance: AtomicI64::new(BALANCE_MAX), deposited_at: AtomicU64::new(0), epoch: Instant::now() }
    }
}

impl Budget {
    /// A request arrived.
    pub fn deposit(&self) {
        // A full budget, the usual case, is not written to.
        if self.balance.load(Relaxed) < BALANCE_MAX {
            self.balance.fetch_add(PER_REQUEST, Relaxed);
        }
    }

    /// A retry is to be made; whether it may be.
    pub fn withdraw(&self) -> bool {
        let now = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.withdraw_at(now)
    }

    fn withdraw_at(&self, now_ms: u64) -> bool {
        let passed = now_ms.saturating_sub(self.deposited_at.fetch_max(now_ms, Relaxed));
        let earned =
            i64::try_from(passed).unwrap_or(i64::MAX).saturating_mul(PER_MILLISECOND).min(BALANCE_MAX);
        let withdrawn = self.balance.fetch_update(Relaxed, Relaxed, |balance| {
            let balance = balance.saturating_add(earned).min(BALANCE_MAX);
            Some(if balance >= RETRY { balance - RETRY } else { balance })
        });
        withdrawn.is_ok_and(|before| before.saturating_add(earned) >= RETRY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_fifth_of_the_requests_and_ten_a_second() {
        let budget = Budget::default();
        assert_eq!((0..1_000).filter(|_| budget.withdraw_at(0)).count(), 100, "what was saved up");
        (0..1_000).for_each(|_| budget.deposit());
        assert_eq!(
            (0..1_000).filter(|_| budget.withdraw_at(0)).count(),
            100,
            "no more than the limit is saved"
        );
        (0..50).for_each(|_| budget.deposit());
        assert_eq!((0..1_000).filter(|_| budget.withdraw_at(0)).count(), 10);
        assert_eq!((0..1_000).filter(|_| budget.withdraw_at(500)).count(), 5);
    }
}
