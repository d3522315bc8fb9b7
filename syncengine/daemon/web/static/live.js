// Tells when the daemon no longer answers, so that an old page is not taken for a live one.
(function () {
  "use strict";
  function show(offline) {
    var notice = document.getElementById("offline");
    if (notice) { notice.hidden = !offline; }
  }
  document.addEventListener("htmx:sendError", function () { show(true); });
  document.addEventListener("htmx:timeout", function () { show(true); });
  document.addEventListener("htmx:afterOnLoad", function () { show(false); });
  document.addEventListener("htmx:afterRequest", function (event) {
    if (event.detail.xhr && event.detail.xhr.status) { show(false); }
  });
})();
