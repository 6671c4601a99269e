/// One column of `rows`, as an array for `unnest`: a statement takes any number of rows so, and its
/// text stays the same.
pub fn column<R, T>(rows: impl IntoIterator<Item = R>, value: impl FnMut(R) -> T) -> Vec<T> {
    rows.into_iter().map(value).collect()
}
