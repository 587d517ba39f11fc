//! One connection to a database, as the rest of the crate sees it.

use std::future::Future;

use session_core::ports::{CommitError, StoreError};

use crate::fold::Beats;
use crate::statement::Statement;
use crate::value::Tuple;
use crate::wanted::{Found, Wanted};

/// What went wrong, by what can be done about it.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Others got in the way, and the database has undone the transaction or will when asked.
    Again(StoreError),
    /// The store cannot serve now. Nothing is written.
    Failed(StoreError),
    /// The connection is gone. A transaction that was not about to commit is undone.
    Lost(StoreError),
    /// Something in the transaction can never be written. Alone, it gets this verdict.
    Poisoned(CommitError),
    /// A row is not as it was seen last.
    Stale,
    /// Somebody else has what only one row may have; the next look finds it.
    Taken(StoreError),
}

/// A connection. Statements take any number of rows of parameters.
///
/// Whoever stops waiting for one of its methods leaves it in a state that [`begin`](Self::begin)
/// mends.
pub(crate) trait Session: Send {
    /// Whether a transaction that writes keeps everybody else from writing anything.
    fn locks_everything(&self) -> bool;

    /// Begins a transaction that writes: from here to its end, what [`fetch`](Self::fetch) has
    /// locked stays as it is.
    fn begin(&mut self) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// Makes what was written since [`begin`](Self::begin) durable. With [`Trouble::Lost`] it is
    /// not known whether it is.
    fn commit(&mut self) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// Undoes what was written since [`begin`](Self::begin).
    fn rollback(&mut self) -> impl Future<Output = ()> + Send;

    /// What a statement finds for rows of parameters.
    fn fetch(
        &mut self,
        statement: &'static Statement,
        rows: &[Tuple],
    ) -> impl Future<Output = Result<Vec<Tuple>, Trouble>> + Send;

    /// Executes a statement for rows of parameters. How many rows it wrote.
    fn execute(
        &mut self,
        statement: &'static Statement,
        rows: &[Tuple],
    ) -> impl Future<Output = Result<u64, Trouble>> + Send;

    /// Finds rows, all of one instant, outside of a transaction.
    fn find(&mut self, wanted: &Wanted) -> impl Future<Output = Result<Found, Trouble>> + Send;

    /// Writes beats in a transaction of their own, durably, if every row is at the version that
    /// the beats replace; else [`Trouble::Stale`] and nothing. With [`Trouble::Lost`] it is not
    /// known whether they are written.
    fn beat(&mut self, beats: &Beats) -> impl Future<Output = Result<(), Trouble>> + Send;
}
