//! Characters that are invisible on a page, or that change how other characters are shown.

/// `Default_Ignorable_Code_Point` of Unicode 17.0 (`DerivedCoreProperties.txt`): zero-width and
/// direction characters, fillers, variation selectors, tags. A test compares it with
/// `icu_properties`.
const DEFAULT_IGNORABLE: [(char, char); 17] = [
    ('\u{AD}', '\u{AD}'),
    ('\u{34F}', '\u{34F}'),
    ('\u{61C}', '\u{61C}'),
    ('\u{115F}', '\u{1160}'),
    ('\u{17B4}', '\u{17B5}'),
    ('\u{180B}', '\u{180F}'),
    ('\u{200B}', '\u{200F}'),
    ('\u{202A}', '\u{202E}'),
    ('\u{2060}', '\u{206F}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{FE00}', '\u{FE0F}'),
    ('\u{FEFF}', '\u{FEFF}'),
    ('\u{FFA0}', '\u{FFA0}'),
    ('\u{FFF0}', '\u{FFF8}'),
    ('\u{1BCA0}', '\u{1BCA3}'),
    ('\u{1D173}', '\u{1D17A}'),
    ('\u{E0000}', '\u{E0FFF}'),
];

/// Returns whether this character is removed from a name before it is shown. It would be invisible,
/// end the line, or reorder the characters after it, so that one name could look like another.
pub(crate) fn is_invisible(c: char) -> bool {
    let is_separator = matches!(c, '\u{2028}' | '\u{2029}');
    let is_annotation = matches!(c, '\u{FFF9}'..='\u{FFFB}');
    let is_ignorable = || {
        c > '\u{AC}' && DEFAULT_IGNORABLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
    };
    c.is_control() || is_separator || is_annotation || is_ignorable()
}

/// Returns whether this character is shown as a blank: white space, or the braille pattern without
/// dots.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}'
}
