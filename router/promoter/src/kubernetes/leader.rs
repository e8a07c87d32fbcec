//! Who may write: the holder of a Lease, as other controllers of Kubernetes do it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use std::time::Duration;
use tokio::time::{self, Instant};

/// How long a holder that says nothing is still believed.
const DURATION_SECONDS: i32 = 15;
/// How long a holder that cannot renew goes on: less than the others wait, so that there are never two.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often it is renewed, and how often others look.
const PERIOD: Duration = Duration::from_secs(2);
/// A question that takes longer than this is asked again.
const TIMEOUT: Duration = Duration::from_secs(4);

/// A candidate for leadership.
pub(super) struct Elector {
    leases: Api<Lease>,
    name: String,
    identity: String,
    /// The lease as it was seen to change last, and when by this process's own clock: other clocks may be wrong.
    seen: Option<(Option<MicroTime>, Instant)>,
}

// === impl Elector ===

impl Elector {
    pub(super) fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        let (name, identity) = (name.to_owned(), identity.to_owned());
        Self { leases: Api::namespaced(client, namespace), name, identity, seen: None }
    }

    /// Waits until this process leads.
    pub(super) async fn acquire(&mut self) {
        let mut told = false;
        loop {
            match time::timeout(TIMEOUT, self.attempt()).await {
                Ok(Ok(None)) => return,
                Ok(Ok(Some(holder))) if !told => {
                    tracing::info!(%holder, "Waiting: {holder} leads");
                    told = true;
                }
                Ok(Ok(Some(_))) => {}
                Ok(Err(error)) => tracing::warn!("The Lease {} cannot be taken: {error}", self.name),
                Err(_) => {
                    tracing::warn!("The Lease {} cannot be taken: no answer within {TIMEOUT:?}", self.name);
                }
            }
            time::sleep(PERIOD).await;
        }
    }

    /// Goes on leading; returns when that has ended, so that nothing may be written any more.
    pub(super) async fn lead(&mut self) {
        let mut renewed = Instant::now();
        while renewed.elapsed() < RENEW_DEADLINE {
            time::sleep(PERIOD).await;
            match time::timeout(TIMEOUT, self.attempt()).await {
                Ok(Ok(None)) => renewed = Instant::now(),
                Ok(Ok(Some(holder))) => {
                    tracing::error!(%holder, "{holder} leads now");
                    return;
                }
                Ok(Err(error)) => tracing::warn!("The Lease {} cannot be renewed: {error}", self.name),
                Err(_) => {
                    tracing::warn!("The Lease {} cannot be renewed: no answer within {TIMEOUT:?}", self.name);
                }
            }
        }
        tracing::error!("The Lease {} could not be renewed for {RENEW_DEADLINE:?}", self.name);
    }

    /// Gives the Lease back, so that another one need not wait.
    pub(super) async fn release(&self) -> Result<(), Error> {
        let Some(mut lease) = self.leases.get_opt(&self.name).await? else { return Ok(()) };
        if let Some(spec) =
            lease.spec.as_mut().filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity))
        {
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
            self.leases.replace(&self.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }

    /// Takes or renews the Lease; the holder's name where another one has it.
    async fn attempt(&mut self) -> Result<Option<String>, Error> {
        let now = Timestamp::now();
        let Some(mut lease) = self.leases.get_opt(&self.name).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(self.spec(now, LeaseSpec::default())) };
            self.leases.create(&PostParams::default(), &lease).await?;
            return Ok(None);
        };
        let spec = lease.spec.take().unwrap_or_default();
        if let Some(holder) = self.other_holder(&spec) {
            return Ok(Some(holder));
        }
        lease.spec = Some(self.spec(now, spec));
        // The resource version in it makes this fail where another one was faster.
        self.leases.replace(&self.name, &PostParams::default(), &lease).await?;
        Ok(None)
    }

    /// Another process that holds the Lease and was not silent for too long.
    fn other_holder(&mut self, spec: &LeaseSpec) -> Option<String> {
        let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty())?;
        if holder == self.identity {
            return None;
        }
        let since = match &self.seen {
            Some((renewed, since)) if *renewed == spec.renew_time => *since,
            _ => {
                let now = Instant::now();
                self.seen = Some((spec.renew_time.clone(), now));
                now
            }
        };
        let seconds =
            spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
        (since.elapsed() < Duration::from_secs(seconds)).then_some(holder)
    }

    fn spec(&self, now: Timestamp, before: LeaseSpec) -> LeaseSpec {
        let mine = before.holder_identity.as_ref() == Some(&self.identity);
        let changes = before.lease_transitions.unwrap_or(0);
        // Kubernetes keeps microseconds.
        let now = MicroTime(now.round(jiff::Unit::Microsecond).unwrap_or(now));
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(DURATION_SECONDS),
            acquire_time: before.acquire_time.filter(|_| mine).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if mine { changes } else { changes.saturating_add(1) }),
            ..LeaseSpec::default()
        }
    }
}

/// A name that no other process has.
pub(super) fn identity(pod: &str) -> String {
    let since_epoch = Timestamp::now().duration_since(Timestamp::UNIX_EPOCH);
    format!("{pod}_{:x}_{:x}", std::process::id(), SignedDuration::as_nanos(&since_epoch))
}
