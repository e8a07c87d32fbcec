//! Which counts are evidence, and what they say.

use super::Turn;
use crate::{Judgement, Phase, Release, Sample, Stage, Tick, Window, judge, requests_needed};

// === impl Turn ===

impl Turn<'_> {
    /// Takes the sample in, if there is one that counts, and judges the release with it.
    pub(super) fn count(&mut self) {
        let Some(Sample::Window(window)) = self.seen.sample else { return };
        let judging = matches!(self.status.phase, Phase::Progressing { stage: Stage::Judging, .. });
        if !self.counts(window) {
            return;
        }
        let Some(release) = self.status.release_mut() else { return };
        release.evidence = release.evidence.after(window.counts);
        release.total += window.counts;
        if judging {
            release.at_step += window.counts;
        }
        release.counted_until = Some(window.to);
        let release = release.clone();
        let judgement =
            judge(&self.spec.analysis, &release, Some(window.counts), self.requests_needed(&release));
        self.note(window, &release, &judgement);
        self.judged = Some(judgement);
    }

    /// Only what came after the weight was acknowledged, and was not counted before, is evidence.
    fn counts(&self, window: Window) -> bool {
        let route = self.status.route;
        let counted = self.status.release().and_then(|release| release.counted_until);
        !route.weight.is_zero()
            && route.acknowledged.is_some_and(|since| window.from >= since)
            && counted.is_none_or(|until| window.from >= until)
    }

    /// The requests that the step asks for before the next one.
    pub(super) fn requests_needed(&self, release: &Release) -> u64 {
        requests_needed(self.spec, release)
    }

    fn note(&mut self, window: Window, release: &Release, judgement: &Judgement) {
        let (verdict, message) = match judgement {
            Judgement::Advance => {
                ("Advance".to_owned(), "the evidence suffices for the next weight".to_owned())
            }
            Judgement::Hold(reason, message) => (reason.to_string(), message.clone()),
            Judgement::StepBack(message) => ("StepBack".to_owned(), message.clone()),
            Judgement::Fail(cause) => ("Fail".to_owned(), cause.message.clone()),
        };
        self.status.note_tick(Tick {
            at: window.to,
            candidate: release.candidate.clone(),
            step: release.step,
            weight: self.status.route.weight,
            counts: window.counts,
            e_value: release.evidence.e(),
            verdict,
            message,
        });
    }
}
