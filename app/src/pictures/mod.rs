//! Pictures: what is taken, how it is re-encoded, and where it is kept.
//!
//! An upload is never served as it came. Its type is read from its bytes, its pixels are decoded and written anew, so
//! that nothing else in the file (a place, a serial number, a script) gets out. A picture's name says what it is:
//! `<hash>-<width>x<height>.<type>`, and `…-<width>x<height>-640.<type>` for a smaller size of it; so pages know
//! every size without asking anybody, and a name never means another content.

mod encode;
mod folder;
mod place;
mod s3;
mod show;

pub use encode::{PictureError, encode};
pub(crate) use place::files;
pub use place::{Place, PlaceError, PlaceName};
pub use s3::{S3, S3Address, S3Error};
pub use show::tag;

/// Widths of the smaller sizes: a list, a phone, a phone held across or a column of text on a sharp screen.
const WIDTHS: [u32; 3] = [320, 640, 1280];
/// The longer side of the largest size that is kept.
const SIDE_MAX: u32 = 2560;

/// What the name of a picture of ours says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// Made from what was uploaded.
    hash: &'a str,
    /// Width in pixels of the largest size.
    pub width: u32,
    /// Height in pixels of the largest size.
    pub height: u32,
    extension: &'a str,
}

impl<'a> Name<'a> {
    /// Reads the name of a picture's largest file; `None` for any other file.
    #[must_use]
    pub fn parse(file: &'a str) -> Option<Self> {
        let (stem, extension) = file.rsplit_once('.')?;
        let (hash, size) = stem.split_once('-')?;
        let (width, height) = size.split_once('x')?;
        let is_hash = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = |text: &str| text.parse().ok().filter(|n| (1..=SIDE_MAX).contains(n));
        is_hash
            .then_some(())
            .and_then(|()| Some(Self { hash, width: number(width)?, height: number(height)?, extension }))
    }

    /// The smaller sizes as widths and files, smallest first. A picture that moves has none.
    #[must_use]
    pub fn smaller(&self) -> Vec<(u32, String)> {
        if self.extension == "gif" {
            return Vec::new();
        }
        let Self { hash, width, height, extension } = self;
        WIDTHS
            .into_iter()
            .filter(|smaller| smaller < width)
            .map(|smaller| (smaller, format!("{hash}-{width}x{height}-{smaller}.{extension}")))
            .collect()
    }
}

/// The file of a picture that suits a list: its smallest size, or itself.
#[must_use]
pub fn thumbnail(file: &str) -> String {
    Name::parse(file)
        .and_then(|name| name.smaller().into_iter().next())
        .map_or_else(|| file.to_owned(), |(_, file)| file)
}

/// The type of a kept file, by its name; `None` for a name that no picture has.
#[must_use]
pub fn content_type(file: &str) -> Option<&'static str> {
    let plain = file.len() <= 100
        && !file.starts_with('.')
        && file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    match file.rsplit_once('.').filter(|_| plain)?.1 {
        "jpg" => Some("image/jpeg"),
        "png" => Some("image/png"),
        "gif" => Some("image/gif"),
        "webp" => Some("image/webp"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, content_type, thumbnail};

    #[test]
    fn a_name_tells_every_size() {
        let name = Name::parse("0123456789abcdef-1600x900.jpg").unwrap();
        assert_eq!((name.width, name.height), (1600, 900));
        let files: Vec<String> = name.smaller().into_iter().map(|(_, file)| file).collect();
        assert_eq!(
            files,
            ["320", "640", "1280"].map(|width| format!("0123456789abcdef-1600x900-{width}.jpg"))
        );
        assert_eq!(thumbnail("0123456789abcdef-300x300.png"), "0123456789abcdef-300x300.png");
        assert!(Name::parse("0123456789abcdef-9x9.gif").unwrap().smaller().is_empty());
        for other in
            ["example-01.svg", "0123456789abcdef-1600x900-640.jpg", "0123456789abcdef-0x9.jpg", "x", ""]
        {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn only_names_of_pictures_have_a_type() {
        assert_eq!(content_type("a.jpg"), Some("image/jpeg"));
        for bad in ["../a.jpg", ".a.jpg", "a/b.png", "a.html", "jpg", "a\0.png", ""] {
            assert_eq!(content_type(bad), None, "{bad}");
        }
    }
}
