//! `blog check`.

use anyhow::ensure;

use super::print_line;
use crate::args::PicturesArgs;
use crate::check::{Finding, Severity, check};
use crate::store::{DatabaseUrl, Store};

pub(super) async fn run(url: &DatabaseUrl, pictures: &PicturesArgs) -> anyhow::Result<()> {
    let place = pictures.place()?;
    let findings = match Store::open(url).await {
        Ok(store) => {
            let findings = check(&store, &place).await;
            store.close().await;
            findings
        }
        Err(error) => vec![Finding {
            severity: Severity::Failure,
            what: "database".to_owned(),
            said: error.to_string(),
        }],
    };
    for finding in &findings {
        print_line(&finding.to_string());
    }
    let bad = findings.iter().filter(|finding| finding.severity > Severity::Fine).count();
    ensure!(bad == 0, "to be looked at: {bad} of {}", findings.len());
    Ok(())
}
