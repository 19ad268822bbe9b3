//! Colours made from a company's own, such that what is written in them can be read.

/// A colour's red, green and blue.
type Rgb = [u8; 3];

const BLACK: Rgb = [0; 3];
const WHITE: Rgb = [255; 3];

/// The grounds that links stand on: the lightest page's darkest, and the darkest one's lightest.
const LIGHT_GROUND: Rgb = [0xf7, 0xf7, 0xf8];
const DARK_GROUND: Rgb = [0x1a, 0x1a, 0x1f];

/// The least contrast of text (WCAG 2.2, 1.4.3).
const CONTRAST_MIN: f64 = 4.5;

/// Steps from a colour to black or white.
const STEPS: u16 = 20;

/// The variables that the style sheet builds upon.
///
/// `colour` is `#` and six hexadecimal digits; `None` for anything else.
pub(super) fn style_sheet(colour: &str) -> Option<String> {
    let brand = parse(colour)?;
    let on_brand = if contrast(brand, WHITE) >= CONTRAST_MIN { WHITE } else { BLACK };
    let (light, dark) = (readable(brand, BLACK, LIGHT_GROUND), readable(brand, WHITE, DARK_GROUND));
    let [brand, on_brand, light, dark] = [brand, on_brand, light, dark].map(text);
    Some(format!(
        ":root{{--brand:{brand};--on-brand:{on_brand};--link:{light};--focus:{light}}}\n\
         @media(prefers-color-scheme:dark){{:root{{--link:{dark};--focus:{dark}}}}}\n"
    ))
}

fn parse(colour: &str) -> Option<Rgb> {
    let mut rgb = [0; 3];
    hex::decode_to_slice(colour.strip_prefix('#')?, &mut rgb).ok()?;
    Some(rgb)
}

fn text(rgb: Rgb) -> String {
    format!("#{}", hex::encode(rgb))
}

/// The colour, as far towards `end` as it has to go to be read on `ground`.
fn readable(colour: Rgb, end: Rgb, ground: Rgb) -> Rgb {
    let mixed = |step: u16| {
        let part = |place: usize| {
            let (from, to) = (u16::from(colour[place]), u16::from(end[place]));
            u8::try_from((from * (STEPS - step) + to * step) / STEPS).unwrap_or(end[place])
        };
        [part(0), part(1), part(2)]
    };
    (0..=STEPS).map(mixed).find(|mixed| contrast(*mixed, ground) >= CONTRAST_MIN).unwrap_or(end)
}

/// The contrast of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio").
fn contrast(one: Rgb, other: Rgb) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// WCAG 2.2, "relative luminance".
fn luminance(rgb: Rgb) -> f64 {
    let [red, green, blue] = rgb.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrasts_are_those_of_the_standards_examples() {
        assert!((contrast(BLACK, WHITE) - 21.0).abs() < 1e-9);
        // The lightest grey that may be written in on white.
        assert!(contrast([0x76; 3], WHITE) >= 4.5);
        assert!(contrast([0x77; 3], WHITE) < 4.5);
    }

    #[test]
    fn every_brand_can_be_read() {
        for colour in ["#ffd500", "#000000", "#ffffff", "#3538cd", "#00ff88", "#7f7f7f"] {
            let sheet = style_sheet(colour).unwrap();
            let value = |text: &str, name: &str| {
                let (_, rest) = text.split_once(&format!("{name}:")).unwrap();
                parse(&rest[..7]).unwrap()
            };
            let (light, dark) = sheet.split_once('\n').unwrap();
            assert_eq!(text(value(light, "--brand")), colour);
            for (one, ground) in [
                (value(light, "--on-brand"), parse(colour).unwrap()),
                (value(light, "--link"), LIGHT_GROUND),
                (value(dark, "--link"), DARK_GROUND),
            ] {
                assert!(contrast(one, ground) >= CONTRAST_MIN, "{colour}: {sheet}");
            }
        }
    }

    #[test]
    fn anything_else_is_no_colour() {
        for text in ["", "3538cd", "#3538c", "#3538cd0", "red", "#3538cg", "#fff}a{b:"] {
            assert_eq!(style_sheet(text), None, "{text}");
        }
    }
}
