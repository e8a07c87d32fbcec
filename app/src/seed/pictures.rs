//! Small drawings for the example posts.

use std::fmt::Write as _;

use super::Dice;

/// Pairs of colours that go together: ground and shapes.
const PALETTES: [(&str, &str, &str); 8] = [
    ("#0f2027", "#2c5364", "#f2c14e"),
    ("#1f1c2c", "#928dab", "#f5e6ca"),
    ("#134e5e", "#71b280", "#f8f4e3"),
    ("#232526", "#61707d", "#ff9f6b"),
    ("#2b1331", "#8e4585", "#ffd6a5"),
    ("#0b3d2e", "#2f8f6b", "#e8f5c8"),
    ("#16222a", "#3a6073", "#c9e4f2"),
    ("#3a1c1c", "#b56d4f", "#fde4c3"),
];

/// Drawing `number`, as SVG of 1280 by 720.
pub(super) fn draw(number: u32) -> String {
    let mut dice = Dice::new(number.wrapping_mul(7_919));
    let (ground, middle, light) = PALETTES[number as usize % PALETTES.len()];
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1280 720\" width=\"1280\" height=\"720\">\
         <defs><linearGradient id=\"g\" x1=\"0\" y1=\"0\" x2=\"1\" y2=\"1\"><stop offset=\"0\" stop-color=\"{ground}\"/>\
         <stop offset=\"1\" stop-color=\"{middle}\"/></linearGradient></defs>\
         <rect width=\"1280\" height=\"720\" fill=\"url(#g)\"/>"
    );
    match number % 3 {
        0 => hills(&mut svg, &mut dice, (middle, light)),
        1 => circles(&mut svg, &mut dice, light),
        _ => bars(&mut svg, &mut dice, light),
    }
    svg.push_str("</svg>");
    svg
}

fn hills(svg: &mut String, dice: &mut Dice, (middle, light): (&str, &str)) {
    let _ = write!(
        svg,
        "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{light}\" opacity=\".9\"/>",
        200 + dice.below(880),
        120 + dice.below(140),
        50 + dice.below(50)
    );
    for layer in 0..4 {
        let base = 380 + layer * 80;
        let points: Vec<usize> = (0..6).map(|_| base - dice.below(110)).collect();
        let _ = write!(
            svg,
            "<path d=\"M0 {} C 200 {} 350 {} 500 {} S 850 {} 1000 {} S 1200 {} 1280 {base} V720 H0Z\" fill=\"{}\" opacity=\"{}\"/>",
            points[0],
            points[1],
            base,
            points[2],
            points[3],
            points[4],
            points[5],
            if layer % 2 == 0 { "#000" } else { middle },
            if layer % 2 == 0 { ".22" } else { ".5" },
        );
    }
}

fn circles(svg: &mut String, dice: &mut Dice, light: &str) {
    let (x, y) = (320 + dice.below(640), 200 + dice.below(320));
    for ring in 1..9 {
        let _ = write!(
            svg,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{}\" fill=\"none\" stroke=\"{light}\" stroke-width=\"2\" opacity=\"{:.2}\"/>",
            ring * 62,
            0.75 - f64::from(u8::try_from(ring).unwrap_or(0)) * 0.075
        );
    }
    let _ = write!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"20\" fill=\"{light}\"/>");
}

/// A hundred dots, one of them bright: a canary.
fn bars(svg: &mut String, dice: &mut Dice, light: &str) {
    let canary = dice.below(98);
    for index in 0..98 {
        let (x, y) = (124 + (index % 14) * 79, 125 + (index / 14) * 79);
        let (r, opacity) = if index == canary { (22, "1") } else { (9, ".28") };
        let _ =
            write!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" fill=\"{light}\" opacity=\"{opacity}\"/>");
    }
}
