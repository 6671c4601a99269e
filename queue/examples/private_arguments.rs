//! A private argument: what a job must know and nobody else may see.
//!
//! The number of an invoice is an argument, which lists and pages show. Who gets it is private: it
//! is stored encrypted, read by the handler alone, and deleted with the job's completion.
//!
//! `scripts/with-postgres cargo run -p weirgate-queue --example private_arguments`

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chacha20poly1305::aead::{Aead, Generate, Key, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use weirgate_queue::private::{self, Sealing, SealingError};
use weirgate_queue::{
    Job, JobContext, JobError, JobState, Kinds, MIGRATOR, NewJob, Worker, WorkerConfig, connect_options,
    enqueue, read,
};

/// One key, under a number that is stored with what it has sealed. A program whose key is replaced
/// from time to time has several and looks the right one up by that number.
struct OneKey {
    number: u8,
    cipher: XChaCha20Poly1305,
}

impl OneKey {
    const NONCE_BYTES: usize = 24;

    fn new(number: u8, key: &Key<XChaCha20Poly1305>) -> Self {
        Self { number, cipher: XChaCha20Poly1305::new(key) }
    }
}

impl fmt::Debug for OneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.number)
    }
}

impl Sealing for OneKey {
    fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, SealingError> {
        // With 192 random bits, no two values share a nonce.
        let nonce = XNonce::generate();
        let payload = Payload { msg: plain, aad: place.as_bytes() };
        let ciphertext = self.cipher.encrypt(&nonce, payload).map_err(|_| SealingError::Damaged)?;
        Ok([&[self.number][..], &nonce[..], &ciphertext[..]].concat())
    }

    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, SealingError> {
        let (number, rest) = sealed.split_first().ok_or(SealingError::Damaged)?;
        if *number != self.number {
            return Err(SealingError::UnknownKey(number.to_string()));
        }
        let (nonce, ciphertext) = rest.split_at_checked(Self::NONCE_BYTES).ok_or(SealingError::Damaged)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| SealingError::Damaged)?;
        let payload = Payload { msg: ciphertext, aad: place.as_bytes() };
        self.cipher.decrypt(&nonce, payload).map_err(|_| SealingError::Damaged)
    }

    fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.first() == Some(&self.number)
    }
}

/// Sends an invoice.
#[derive(Serialize, Deserialize)]
struct SendInvoice {
    invoice: i64,
}

/// Who gets it.
#[derive(Serialize, Deserialize)]
struct Recipient {
    name: String,
    email: String,
}

impl Job for SendInvoice {
    const KIND: &'static str = "send_invoice";
    type App = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext<()>) -> Result<(), JobError> {
        let recipient: Recipient = ctx.private().await?;
        // This stands for sending it. A handler that logged it would give it away.
        println!("invoice {} goes to {} at {}", self.invoice, recipient.name, recipient.email);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = connect_options(std::env::var("DATABASE_URL")?.parse()?);
    let pool = PgPoolOptions::new().connect_with(options).await?;
    MIGRATOR.run(&pool).await?;

    // A program reads its key from a file or a secret store. Whoever has only the database has
    // none.
    let key = Key::<XChaCha20Poly1305>::generate();
    let sealing: Arc<dyn Sealing> = Arc::new(OneKey::new(1, &key));

    let recipient = Recipient { name: "Ada".to_owned(), email: "ada@example.com".to_owned() };
    let job = NewJob::of(Uuid::now_v7(), &SendInvoice { invoice: 42 })?.private(&*sealing, &recipient)?;
    let id = job.id;
    let mut tx = pool.begin().await?;
    enqueue(&mut tx, vec![job]).await?;
    tx.commit().await?;
    let mut conn = pool.acquire().await?;
    let shown = read::get(&mut conn, id).await?.expect("it was enqueued");
    println!("whoever reads the job sees {}", shown.args);
    println!("a private argument is stored: {}", private::any(&mut conn).await?);

    let registry = Arc::new(Kinds::default().with::<SendInvoice>().run_with(Arc::new(())));
    let shutdown = CancellationToken::new();
    let config = WorkerConfig { sealing: Some(sealing), ..WorkerConfig::new("example", "0", 1) };
    let worker = tokio::spawn(Worker::run(pool.clone(), registry, config, shutdown.clone()));
    while read::get(&mut conn, id).await?.expect("it was enqueued").state() != JobState::Completed {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("after the job has completed: {}", private::any(&mut conn).await?);
    shutdown.cancel();
    Ok(worker.await??)
}
