use super::Control;
use crate::tls::Tls;
use std::sync::Arc;

/// Puts in force whatever certificate is written, for as long as the process lives.
pub async fn follow(mut tls: Tls, control: Arc<Control>) {
    loop {
        let result = tls.changed().await;
        if result.is_ok() {
            let file = tls.files().certificate.display();
            tracing::info!(%file, "New connections get the certificate that {file} holds now");
        }
        control.note_tls(result);
    }
}
