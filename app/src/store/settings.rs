//! What an administrator may set, kept as names and texts so that versions can add to it.

use super::{Store, StoreError, fetch_all, in_transaction, run, touch_content};

/// The settings of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of the blog.
    pub title: String,
    /// A line under it.
    pub tagline: String,
    /// IANA name of the time zone of dates and archives.
    pub time_zone: String,
    /// Posts of a list page, 1 to 50.
    pub page_size: i64,
    /// Whether comments wait for approval.
    pub moderate_comments: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            title: "Huidu Blog".to_owned(),
            tagline: "Notes on software that changes while it runs".to_owned(),
            time_zone: "Asia/Shanghai".to_owned(),
            page_size: 10,
            moderate_comments: true,
        }
    }
}

impl Store {
    /// The settings; what was never set has its default, what a newer version added is passed over.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn settings(&self) -> Result<Settings, StoreError> {
        let rows: Vec<(String, String)> = fetch_all!(self, "SELECT name, value FROM settings")?;
        let mut settings = Settings::default();
        for (name, value) in rows {
            match name.as_str() {
                "title" => settings.title = value,
                "tagline" => settings.tagline = value,
                "time_zone" => settings.time_zone = value,
                "page_size" => settings.page_size = value.parse().unwrap_or(settings.page_size).clamp(1, 50),
                "moderate_comments" => settings.moderate_comments = value != "no",
                _ => {}
            }
        }
        Ok(settings)
    }

    /// Keeps the settings.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn save_settings(&self, settings: &Settings) -> Result<(), StoreError> {
        let rows = [
            ("title", settings.title.clone()),
            ("tagline", settings.tagline.clone()),
            ("time_zone", settings.time_zone.clone()),
            ("page_size", settings.page_size.to_string()),
            ("moderate_comments", if settings.moderate_comments { "yes" } else { "no" }.to_owned()),
        ];
        in_transaction!(self, |tx| {
            for (name, value) in &rows {
                run!(
                    tx,
                    "INSERT INTO settings(name, value) VALUES ($1, $2) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    name,
                    value
                );
            }
            touch_content!(tx);
        });
        Ok(())
    }
}
