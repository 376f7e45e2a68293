//! Finds the name that was probably meant (T-5, C-2).

/// The known name nearest to `wrong`, if one is near enough to be a likely typing error.
///
/// Names that differ only in case, `-` and `_` count as equal; ties go to the first in order.
///
/// ```
/// use fsm_templating::nearest;
/// assert_eq!(nearest("ipp", ["port", "ip"]), Some("ip"));
/// assert_eq!(nearest("temperature", ["port", "ip"]), None);
/// ```
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A value of a megabyte as a name would cost a quadratic comparison and is no typing error.
    const MAX_LEN: usize = 128;
    if wrong.len() > MAX_LEN {
        return None;
    }
    let fold = |text: &str| text.to_lowercase().replace('-', "_");
    let folded = fold(wrong);
    let limit = (wrong.chars().count() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for name in known.into_iter().filter(|name| name.len() <= MAX_LEN) {
        let distance = strsim::damerau_levenshtein(&folded, &fold(name));
        // Two single letters are always one step apart: that says nothing.
        let says_something = distance == 0 || wrong.chars().count() > distance;
        if distance <= limit && says_something && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// `did you mean …?`, or the list of what is known where that is short.
pub(crate) fn did_you_mean<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(name) = nearest(wrong, known.clone()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let names: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
    // More would hide the rest of the message.
    const MAX_LISTED: usize = 16;
    (!names.is_empty() && names.len() <= MAX_LISTED).then(|| format!("known here: {}", names.join(", ")))
}
