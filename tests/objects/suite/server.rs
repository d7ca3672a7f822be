//! An S3 server on loopback: s3s over a folder, with faults on demand and a record of what was asked.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub const KEY: &str = "test-access-key";
pub const SECRET: &str = "test-secret-key-that-must-not-be-shown";
pub const BUCKET: &str = "evidence";

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Without the bucket.
    pub key: String,
    pub query: String,
    pub range: Option<String>,
    pub condition: Option<String>,
    /// Requests of the same method, key and range before this one.
    pub before: usize,
}

impl Seen {
    pub fn is_list(&self) -> bool {
        self.query.contains("list-type=2")
    }

    pub fn is_get(&self) -> bool {
        self.method == "GET" && !self.is_list()
    }
}

/// What the server does instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    Status(u16),
    /// Drops the connection after so many bytes of the body.
    BreakAfter(usize),
}

type Faults = Box<dyn Fn(&Seen) -> Fault + Send + Sync>;

struct Shared {
    service: S3Service,
    seen: Mutex<Vec<Seen>>,
    faults: Faults,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

pub struct Server {
    folder: TempDir,
    shared: Arc<Shared>,
    pub endpoint: String,
    _runtime: Runtime,
}

impl Server {
    pub fn new(faults: impl Fn(&Seen) -> Fault + Send + Sync + 'static) -> Self {
        Self::start(faults, true)
    }

    /// A server that lists no `ETag`s and heeds no conditions.
    pub fn simple(faults: impl Fn(&Seen) -> Fault + Send + Sync + 'static) -> Self {
        Self::start(faults, false)
    }

    fn start(faults: impl Fn(&Seen) -> Fault + Send + Sync + 'static, tags: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let store = FileSystem::new(folder.path()).expect("a store");
        let mut builder = if tags { S3ServiceBuilder::new(Tagged(store)) } else { S3ServiceBuilder::new(store) };
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let shared = Arc::new(Shared {
            service: builder.build(),
            seen: Mutex::default(),
            faults: Box::new(faults),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("bound to loopback");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        runtime.spawn(serve(listener, shared.clone()));
        Self { folder, shared, endpoint, _runtime: runtime }
    }

    pub fn put(&self, key: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(BUCKET).join(key);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(&path, bytes).expect("written");
        path
    }

    /// Where the object lies.
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(key)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("not poisoned").clone()
    }

    pub fn lists(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(Seen::is_list).collect()
    }

    pub fn gets(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(Seen::is_get).collect()
    }

    /// Requests for bytes that were under way at the same time.
    pub fn most_in_flight(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(shared.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            // A connection that is dropped on purpose ends in an error.
            let _ = connection.await;
        });
    }
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let seen = note(&shared, &request);
    let whole = |bytes: Bytes| Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
    let fault = (shared.faults)(&seen);
    if let Fault::Status(status) = fault {
        let answer = Response::builder().status(status).body(whole(Bytes::new())).expect("an answer");
        return Ok(answer);
    }
    if seen.is_get() {
        let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_in_flight.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let answer = shared.service.call(request.map(s3s::Body::from)).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let bytes = BodyExt::collect(body).await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if seen.is_get() {
        shared.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
    let body = match fault {
        Fault::BreakAfter(at) if at < bytes.len() => breaking(bytes.slice(..at)),
        _ => whole(bytes),
    };
    Ok(Response::from_parts(head, body))
}

fn breaking(bytes: Bytes) -> Body {
    let frames = stream::iter([Some(bytes), None]).then(|bytes| async move {
        let Some(bytes) = bytes else {
            // What came before has gone out by then.
            tokio::time::sleep(Duration::from_millis(30)).await;
            return Err(io::Error::other("broken on purpose"));
        };
        Ok(Frame::data(bytes))
    });
    StreamBody::new(frames).boxed_unsync()
}

fn note(shared: &Shared, request: &Request<Incoming>) -> Seen {
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let path = request.uri().path();
    let mut seen = Seen {
        method: request.method().to_string(),
        key: path.strip_prefix(&format!("/{BUCKET}/")).unwrap_or(path).to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        range: header("range"),
        condition: header("if-match"),
        before: 0,
    };
    let mut all = shared.seen.lock().expect("not poisoned");
    let same =
        |s: &&Seen| (&s.method, &s.key, &s.range, &s.query) == (&seen.method, &seen.key, &seen.range, &seen.query);
    seen.before = all.iter().filter(same).count();
    all.push(seen.clone());
    seen
}

/// What s3s-fs leaves out: `ETag`s in lists, and conditions.
struct Tagged(FileSystem);

fn ask<T, U>(request: &S3Request<T>, input: U) -> S3Request<U> {
    S3Request {
        input,
        method: request.method.clone(),
        uri: request.uri.clone(),
        headers: request.headers.clone(),
        extensions: hyper::http::Extensions::new(),
        credentials: request.credentials.clone(),
        region: request.region.clone(),
        service: request.service.clone(),
        trailing_headers: None,
    }
}

impl Tagged {
    async fn tag<T>(&self, request: &S3Request<T>, bucket: &str, key: &str) -> S3Result<Option<ETag>> {
        let head = HeadObjectInput { bucket: bucket.to_owned(), key: key.to_owned(), ..HeadObjectInput::default() };
        Ok(self.0.head_object(ask(request, head)).await?.output.e_tag)
    }
}

#[async_trait::async_trait]
impl S3 for Tagged {
    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        if let Some(ETagCondition::ETag(wanted)) = &request.input.if_match {
            let tag = self.tag(&request, &request.input.bucket, &request.input.key).await?;
            if tag.as_ref() != Some(wanted) {
                return Err(s3_error!(PreconditionFailed));
            }
        }
        self.0.get_object(request).await
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.0.head_object(request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let again = ask(&request, ());
        let bucket = request.input.bucket.clone();
        let mut answer = self.0.list_objects_v2(request).await?;
        for object in answer.output.contents.iter_mut().flatten() {
            object.e_tag = self.tag(&again, &bucket, object.key.as_deref().unwrap_or_default()).await?;
        }
        Ok(answer)
    }
}
