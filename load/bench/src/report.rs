//! Medians and ranges, as a table and as JSON.

use crate::scenario::{Figures, Scenario};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fs, path::Path};

/// All figures of all rounds, and what earlier runs have left of other scenarios.
pub struct Report {
    written: Map<String, Value>,
    rounds: BTreeMap<(Scenario, String), Rounds>,
}

#[derive(Default)]
struct Rounds {
    /// In the order of the first round.
    names: Vec<String>,
    values: BTreeMap<String, Vec<f64>>,
    void: usize,
}

const FILE: &str = "router.json";

/// Names of figures that have other keys beside them.
const LOWEST: &str = "_min";
const HIGHEST: &str = "_max";

// === impl Report ===

impl Report {
    /// What is there already.
    pub fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join(FILE)).unwrap_or_default();
        Self { written: serde_json::from_str(&text).unwrap_or_default(), rounds: BTreeMap::new() }
    }

    /// Forgets earlier results of a scenario.
    pub fn begin(&mut self, scenario: Scenario) {
        self.written.remove(scenario.name());
    }

    pub fn add(&mut self, scenario: Scenario, peer: &str, figures: &Figures) {
        let rounds = self.rounds.entry((scenario, peer.to_owned())).or_default();
        for (name, value) in figures {
            if !rounds.values.contains_key(name) {
                rounds.names.push(name.clone());
            }
            rounds.values.entry(name.clone()).or_default().push(*value);
        }
        self.summarize(scenario, peer);
    }

    /// Notes a figure that has no rounds.
    pub fn note(&mut self, (scenario, peer): (Scenario, &str), name: &str, value: f64) {
        let peers = self.written.entry(scenario.name()).or_insert_with(|| json!({}));
        if let Some(Value::Object(figures)) =
            peers.as_object_mut().map(|peers| peers.entry(peer).or_insert_with(|| json!({})))
        {
            figures.insert(name.to_owned(), json!(rounded(value)));
        }
    }

    pub fn void(&mut self, scenario: Scenario, peer: &str) {
        self.rounds.entry((scenario, peer.to_owned())).or_default().void += 1;
        self.summarize(scenario, peer);
    }

    /// Half of what the slowest peer of a scenario carries.
    pub fn common_rate(&self, scenario: Scenario) -> Option<f64> {
        let peers = self.written.get(scenario.name())?.as_object()?;
        let rates = peers.values().filter_map(|peer| peer.get("rps")?.as_f64());
        rates.min_by(f64::total_cmp).map(|slowest| (slowest / 2.0).floor())
    }

    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        Ok(fs::write(folder.join(FILE), serde_json::to_string_pretty(&self.written)?)?)
    }

    /// For people: a line for each peer, a block for each scenario.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for scenario in Scenario::ALL {
            let rows: Vec<_> = self.rounds.iter().filter(|((of, _), _)| *of == scenario).collect();
            let Some(((_, _), first)) = rows.iter().find(|(_, rounds)| !rounds.names.is_empty()) else {
                continue;
            };
            text += &format!("\n{:10}", scenario.name());
            for name in &first.names {
                text += &format!("{name:>30}");
            }
            text.push('\n');
            for ((_, peer), rounds) in &rows {
                text += &format!("{peer:10}");
                for values in first.names.iter().filter_map(|name| rounds.values.get(name)) {
                    let (lowest, median, highest) = spread(values);
                    let cell = format!("{median:.1} ({lowest:.1} … {highest:.1})");
                    text += &format!("{cell:>30}");
                }
                text += &if rounds.void > 0 { format!("  {} void\n", rounds.void) } else { "\n".to_owned() };
            }
        }
        text
    }

    fn summarize(&mut self, scenario: Scenario, peer: &str) {
        let Some(rounds) = self.rounds.get(&(scenario, peer.to_owned())) else { return };
        let mut summary = Map::new();
        for (name, values) in &rounds.values {
            let (lowest, median, highest) = spread(values);
            summary.insert(name.clone(), json!(rounded(median)));
            summary.insert(format!("{name}{LOWEST}"), json!(rounded(lowest)));
            summary.insert(format!("{name}{HIGHEST}"), json!(rounded(highest)));
        }
        summary.insert("rounds".into(), json!(rounds.values.values().next().map_or(0, Vec::len)));
        summary.insert("void_rounds".into(), json!(rounds.void));
        let peers = self.written.entry(scenario.name()).or_insert_with(|| json!({}));
        if let Some(peers) = peers.as_object_mut() {
            peers.insert(peer.to_owned(), Value::Object(summary));
        }
    }
}

/// Lowest, median and highest.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
    let middle = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) {
        (at(middle.saturating_sub(1)) + at(middle)) / 2.0
    } else {
        at(middle)
    };
    (at(0), median, at(sorted.len().saturating_sub(1)))
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
