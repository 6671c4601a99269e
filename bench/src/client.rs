//! One connection to the API, which is kept alive. The client does as little as it can, since it
//! shares the cores with the server.

use std::net::SocketAddr;

use anyhow::Context;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Whoever asks.
pub(super) type Credential = (HeaderName, HeaderValue);

pub(super) struct Client {
    sender: SendRequest<Body>,
    host: String,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting to the API")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, host: address.to_string() })
    }

    /// The body of the answer, which must be a 200.
    pub(super) async fn get(&mut self, path: &str, who: &Credential) -> anyhow::Result<Bytes> {
        self.ask(Method::GET, path, who, StatusCode::OK).await
    }

    /// The body of the answer, which must be a 202.
    pub(super) async fn post(&mut self, path: &str, who: &Credential) -> anyhow::Result<Bytes> {
        self.ask(Method::POST, path, who, StatusCode::ACCEPTED).await
    }

    /// How a `POST` of JSON is answered, whatever that is.
    pub(super) async fn post_json(
        &mut self,
        path: &str,
        (name, value): &Credential,
        body: String,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        self.sender.ready().await?;
        let request = Request::post(path)
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json")
            .header(name, value)
            .body(Body::from(body))?;
        let answer = self.sender.send_request(request).await.with_context(|| path.to_owned())?;
        let status = answer.status();
        Ok((status, to_bytes(Body::new(answer.into_body()), usize::MAX).await?))
    }

    /// Signs in to the dashboard.
    pub(super) async fn sign_in(&mut self, email: &str, password: &str) -> anyhow::Result<Credential> {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("email", email), ("password", password)])
            .finish();
        self.sender.ready().await?;
        let request = Request::post("/dashboard/sign-in")
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))?;
        let answer = self.sender.send_request(request).await.context("signing in")?;
        let cookie = answer
            .headers()
            .get(SET_COOKIE)
            .and_then(|it| it.to_str().ok())
            .and_then(|it| it.split(';').next());
        let cookie =
            cookie.with_context(|| format!("signing in was answered {}", answer.status()))?.to_owned();
        to_bytes(Body::new(answer.into_body()), usize::MAX).await?;
        Ok((COOKIE, HeaderValue::try_from(cookie)?))
    }

    /// How a `GET` is answered, whatever that is.
    pub(super) async fn status(&mut self, path: &str, who: &Credential) -> anyhow::Result<StatusCode> {
        Ok(self.answer(Method::GET, path, who).await?.0)
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        who: &Credential,
        expected: StatusCode,
    ) -> anyhow::Result<Bytes> {
        let (status, body) = self.answer(method, path, who).await?;
        anyhow::ensure!(status == expected, "{path} answered {status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    async fn answer(
        &mut self,
        method: Method,
        path: &str,
        (name, value): &Credential,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        self.sender.ready().await?;
        let request = Request::builder().method(method).uri(path);
        let request = request.header(HOST, &self.host).header(name, value).body(Body::empty())?;
        let answer = self.sender.send_request(request).await.with_context(|| path.to_owned())?;
        let status = answer.status();
        Ok((status, to_bytes(Body::new(answer.into_body()), usize::MAX).await?))
    }
}
