//! Reads the tables of the page of defaults, for the tests of every crate that has numbers in it.

/// The numbers of one section of the page: what each is of, as the code names it, and the number
/// that its second column begins with. A row without a number is `None`.
pub(crate) fn rows<'a>(
    page: &'a str,
    section: &'a str,
) -> impl Iterator<Item = (&'a str, Option<u64>)> {
    page.lines()
        .skip_while(move |line| line.strip_prefix("# ") != Some(section))
        .skip(1)
        .take_while(|line| !line.starts_with("# "))
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|');
            let name = cells.next()?.trim().trim_end_matches('`');
            let number = cells.next()?.trim();
            let digits = number.split(' ').next()?;
            Some((name, digits.parse().ok()))
        })
}
