//! The call page, inside the binary: plain HTML, CSS and JavaScript modules, with no build step.

use axum::Router;
use axum::http::header;
use axum::routing::get;

/// Path, content type and text of every file of the page.
const FILES: &[(&str, &str, &str)] = &[
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("../page/index.html"),
    ),
    (
        "/style.css",
        "text/css; charset=utf-8",
        include_str!("../page/style.css"),
    ),
    (
        "/call.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/call.js"),
    ),
    (
        "/channel.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/channel.js"),
    ),
    (
        "/peer.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/peer.js"),
    ),
    (
        "/signalling.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/signalling.js"),
    ),
];

pub(crate) fn router() -> Router {
    FILES.iter().fold(Router::new(), |router, file| {
        let (path, content_type, text) = *file;
        let headers = [
            (header::CONTENT_TYPE, content_type),
            // A new build of the server is a new page.
            (header::CACHE_CONTROL, "no-cache"),
        ];
        router.route(path, get(move || async move { (headers, text) }))
    })
}
