//! Decoding what a stranger sent, within limits, and writing it anew.

use std::io::Cursor;

use image::codecs::gif::{GifDecoder, GifEncoder, Repeat};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{
    AnimationDecoder as _, DynamicImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits,
};

use super::{Name, SIDE_MAX, content_type};
use crate::store::{NewFile, NewMedia};
use crate::text;

/// Pixels of a picture: 50 megapixels, which is what telephones take, are 150 MB while they are worked on.
const PIXELS_MAX: u64 = 50_000_000;
/// Bytes that decoding may take, with what the decoder needs itself.
const MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Pixels of all frames of a moving picture together.
const MOVING_PIXELS_MAX: u64 = 60_000_000;
/// Quality of JPEG files; above it files grow and nobody sees why.
const JPEG_QUALITY: u8 = 84;
/// Bytes of a colour profile that are kept, since colours would change without it.
const PROFILE_BYTES_MAX: usize = 64 << 10;

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Its bytes are of no type that is taken.
    #[error("it is no JPEG, PNG, WebP or GIF file")]
    Type,
    /// More pixels than are decoded.
    #[error("it has {pixels} pixels; at most {most} are taken")]
    Pixels {
        /// What it has, all frames together.
        pixels: u64,
        /// What is taken.
        most: u64,
    },
    /// The file ends early or contradicts itself.
    #[error("the file is damaged: {0}")]
    Damaged(String),
}

impl From<image::ImageError> for PictureError {
    fn from(error: image::ImageError) -> Self {
        match error {
            image::ImageError::Limits(_) => Self::Pixels { pixels: PIXELS_MAX + 1, most: PIXELS_MAX },
            error => Self::Damaged(error.to_string()),
        }
    }
}

/// Width and height.
type Size = (u32, u32);

/// Makes the files of a picture: photographs become JPEG, drawings and what is transparent PNG, what moves stays GIF.
///
/// # Errors
/// [`PictureError`] when the file is none, too large or damaged.
pub fn encode(upload: &[u8], title: &str) -> Result<NewMedia, PictureError> {
    let format = image::guess_format(upload).map_err(|_| PictureError::Type)?;
    let hash = &text::sha256_hex(upload)[..16];
    match format {
        ImageFormat::Gif => match moving(upload)? {
            Some((size, bytes)) => {
                Ok(media(title, size, vec![(format!("{hash}-{}x{}.gif", size.0, size.1), size.0, bytes)]))
            }
            None => still(upload, format, (hash, title)),
        },
        ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP => still(upload, format, (hash, title)),
        _ => Err(PictureError::Type),
    }
}

fn still(upload: &[u8], format: ImageFormat, (hash, title): (&str, &str)) -> Result<NewMedia, PictureError> {
    let mut decoder = reader(upload, format).into_decoder()?;
    let (width, height) = decoder.dimensions();
    within(u64::from(width) * u64::from(height), PIXELS_MAX)?;
    let orientation = decoder.orientation()?;
    let profile = decoder.icc_profile().ok().flatten().filter(|bytes| bytes.len() <= PROFILE_BYTES_MAX);
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    let (width, height) = fit(picture.width(), picture.height());
    if width != picture.width() {
        picture = picture.thumbnail_exact(width, height);
    }
    let photograph = matches!(format, ImageFormat::Jpeg | ImageFormat::WebP) && !picture.color().has_alpha();
    // 16 bits for a colour are more than a screen shows and more than JPEG holds.
    picture = if picture.color().has_alpha() {
        DynamicImage::ImageRgba8(picture.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(picture.into_rgb8())
    };
    let extension = if photograph { "jpg" } else { "png" };
    let file = format!("{hash}-{width}x{height}.{extension}");
    let smaller = Name::parse(&file).map(|name| name.smaller()).unwrap_or_default();
    let mut files = vec![(file, width, write(&picture, photograph, profile.as_deref())?)];
    // Each size is made from the next larger one, which is far less work than from the largest.
    for (narrow, file) in smaller.into_iter().rev() {
        picture = picture.thumbnail_exact(narrow, scaled(height, narrow, width));
        files.push((file, narrow, write(&picture, photograph, profile.as_deref())?));
    }
    Ok(media(title, (width, height), files))
}

/// A picture that moves, frame after frame; `None` when there is one frame only.
fn moving(upload: &[u8]) -> Result<Option<(Size, Vec<u8>)>, PictureError> {
    let mut decoder = GifDecoder::new(Cursor::new(upload))?;
    decoder.set_limits(limits())?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    within(pixels, PIXELS_MAX)?;
    if width > SIDE_MAX || height > SIDE_MAX {
        return Err(PictureError::Pixels { pixels, most: u64::from(SIDE_MAX) * u64::from(SIDE_MAX) });
    }
    let mut out = Vec::new();
    let mut frames = 0_u64;
    {
        let mut encoder = GifEncoder::new_with_speed(&mut out, 10);
        encoder.set_repeat(Repeat::Infinite)?;
        for frame in decoder.into_frames() {
            frames += 1;
            within(pixels * frames, MOVING_PIXELS_MAX)?;
            encoder.encode_frame(frame?)?;
        }
    }
    Ok((frames > 1).then_some(((width, height), out)))
}

fn reader(upload: &[u8], format: ImageFormat) -> ImageReader<Cursor<&[u8]>> {
    let mut reader = ImageReader::with_format(Cursor::new(upload), format);
    reader.limits(limits());
    reader
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MEMORY_BYTES_MAX);
    limits
}

fn within(pixels: u64, most: u64) -> Result<(), PictureError> {
    if pixels <= most { Ok(()) } else { Err(PictureError::Pixels { pixels, most }) }
}

fn write(picture: &DynamicImage, photograph: bool, profile: Option<&[u8]>) -> Result<Vec<u8>, PictureError> {
    let mut out = Vec::new();
    if photograph {
        finish(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY), picture, profile)?;
    } else {
        finish(PngEncoder::new(&mut out), picture, profile)?;
    }
    Ok(out)
}

fn finish(
    mut encoder: impl ImageEncoder,
    picture: &DynamicImage,
    profile: Option<&[u8]>,
) -> Result<(), PictureError> {
    if let Some(profile) = profile {
        // An encoder without profiles writes the picture without it.
        let _ = encoder.set_icc_profile(profile.to_vec());
    }
    Ok(picture.write_with_encoder(encoder)?)
}

/// The same shape with no side longer than [`SIDE_MAX`].
fn fit(width: u32, height: u32) -> (u32, u32) {
    let long = width.max(height);
    if long <= SIDE_MAX {
        return (width, height);
    }
    (scaled(width, SIDE_MAX, long), scaled(height, SIDE_MAX, long))
}

/// `side × part / whole`, at least 1.
fn scaled(side: u32, part: u32, whole: u32) -> u32 {
    let scaled = u64::from(side) * u64::from(part) / u64::from(whole.max(1));
    u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
}

fn media(title: &str, (width, height): (u32, u32), files: Vec<(String, u32, Vec<u8>)>) -> NewMedia {
    let file = files.first().map(|(file, ..)| file.clone()).unwrap_or_default();
    NewMedia {
        file,
        title: title.to_owned(),
        width: i64::from(width),
        height: i64::from(height),
        bytes: files.first().map_or(0, |(_, _, content)| i64::try_from(content.len()).unwrap_or(i64::MAX)),
        files: files
            .into_iter()
            .map(|(file, width, content)| NewFile {
                content_type: content_type(&file).unwrap_or("application/octet-stream"),
                file,
                width: i64::from(width),
                content,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{PictureError, encode, fit};
    use image::codecs::gif::GifEncoder;
    use image::codecs::jpeg::JpegEncoder;
    use image::{Delay, DynamicImage, Frame, ImageEncoder as _, ImageFormat, Rgb, RgbImage, RgbaImage};
    use std::io::Cursor;

    /// Red on the left half, blue on the right.
    fn halves(width: u32, height: u32) -> DynamicImage {
        let colour = |x| if x < width / 2 { Rgb([220, 20, 20]) } else { Rgb([20, 20, 220]) };
        DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, _| colour(x)))
    }

    fn bytes(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    /// EXIF that says where the picture was taken, and that it lies on its side (orientation 6).
    fn exif() -> Vec<u8> {
        let mut tiff = b"II*\0\x08\0\0\0\x02\0".to_vec();
        tiff.extend(b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0");
        tiff.extend(b"\x0e\x01\x02\0\x0e\0\0\0\x26\0\0\0");
        tiff.extend(b"\0\0\0\0SECRET GARDEN\0");
        tiff
    }

    #[test]
    fn a_photograph_loses_its_secrets_stands_upright_and_gets_smaller_sizes() {
        let mut upload = Vec::new();
        let mut encoder = JpegEncoder::new(&mut upload);
        encoder.set_exif_metadata(exif()).unwrap();
        halves(1400, 700).write_with_encoder(encoder).unwrap();
        assert!(upload.windows(6).any(|part| part == b"SECRET"));
        let media = encode(&upload, "garden").unwrap();
        assert_eq!((media.width, media.height), (700, 1400), "it was on its side");
        let widths: Vec<i64> = media.files.iter().map(|file| file.width).collect();
        assert_eq!(widths, [700, 640, 320]);
        for file in &media.files {
            assert!(!file.content.windows(6).any(|part| part == b"SECRET"), "{}", file.file);
            assert!(!file.content.windows(4).any(|part| part == b"Exif"), "{}", file.file);
            let picture = image::load_from_memory(&file.content).unwrap().into_rgb8();
            assert_eq!(i64::from(picture.width()), file.width);
            assert_eq!(file.content_type, "image/jpeg");
            let (top, bottom) = (picture.get_pixel(100, 10), picture.get_pixel(100, picture.height() - 10));
            assert!(top[0] > 150 && bottom[2] > 150, "red is above blue: {top:?} {bottom:?}");
        }
    }

    #[test]
    fn what_follows_the_picture_in_the_file_is_gone() {
        let mut upload = bytes(&halves(10, 10), ImageFormat::Png);
        upload.extend(b"<script>alert(1)</script>");
        let media = encode(&upload, "x").unwrap();
        assert!(!media.files[0].content.windows(7).any(|part| part == b"<script"));
        assert_eq!(media.files.len(), 1, "a small picture has no smaller sizes");
    }

    #[test]
    fn the_type_is_read_from_the_bytes_and_anything_else_is_refused() {
        for upload in [&b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..], b"%PDF-1.7", b"", b"BM", b"II*\0"] {
            assert!(matches!(encode(upload, "x"), Err(PictureError::Type)), "{upload:?}");
        }
        let cut = &bytes(&halves(100, 100), ImageFormat::Png)[..60];
        assert!(matches!(encode(cut, "x"), Err(PictureError::Damaged(_))));
        assert!(encode(&bytes(&halves(9, 9), ImageFormat::WebP), "x").unwrap().file.ends_with(".jpg"));
        let clear = DynamicImage::ImageRgba8(RgbaImage::new(9, 9));
        assert!(encode(&bytes(&clear, ImageFormat::WebP), "x").unwrap().file.ends_with(".png"));
    }

    #[test]
    fn a_small_file_of_very_many_pixels_is_refused_before_it_is_decoded() {
        // A PNG head of 60,000 × 60,000 pixels with a right checksum.
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 2, 0, 0, 0, 0x0f, 0xb0, 0xe2, 0x15]);
        png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        let refused = encode(&png, "x");
        assert!(matches!(refused, Err(PictureError::Pixels { .. })), "{refused:?}");
    }

    #[test]
    fn what_moves_goes_on_moving_and_a_single_frame_becomes_a_drawing() {
        let gif = |frames: usize| {
            let mut out = Vec::new();
            let mut encoder = GifEncoder::new(&mut out);
            for index in 0..frames {
                let shade = u8::try_from(index * 60).unwrap();
                let frame = RgbaImage::from_pixel(20, 10, image::Rgba([shade, 0, 0, 255]));
                encoder
                    .encode_frame(Frame::from_parts(frame, 0, 0, Delay::from_numer_denom_ms(100, 1)))
                    .unwrap();
            }
            drop(encoder);
            out
        };
        let moving = encode(&gif(3), "x").unwrap();
        assert!(moving.file.ends_with("-20x10.gif"), "{}", moving.file);
        assert_eq!(super::moving(&moving.files[0].content).unwrap().map(|(size, _)| size), Some((20, 10)));
        assert!(encode(&gif(1), "x").unwrap().file.ends_with(".png"));
    }

    #[test]
    fn a_long_side_is_cut_to_the_limit_and_the_shape_stays() {
        assert_eq!(fit(5120, 2880), (2560, 1440));
        assert_eq!(fit(100, 100), (100, 100));
        assert_eq!(fit(1, 100_000), (1, 2560));
    }
}
