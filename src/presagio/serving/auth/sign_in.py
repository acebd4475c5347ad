"""What a browser is shown that asks for a page without a token: how to sign in.

There is no session: the form fetches a token, and the page with it, and keeps neither.
"""

from http import HTTPStatus

from fastapi import Request
from fastapi.responses import HTMLResponse

from presagio.pages.elements import page, text
from presagio.serving.http.problems import RefusedError
from presagio.settings import FLEET_ROUTES

_SCRIPT = """
const form = document.forms[0], note = document.getElementById("note");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  note.textContent = "";
  try {
    const body = new URLSearchParams(new FormData(form));
    const token = await fetch(form.dataset.token, {method: "POST", body});
    if (!token.ok) {
      note.textContent = token.status === 429
        ? "Too many wrong attempts; try again in a minute." : "Name or password is wrong.";
      return;
    }
    const bearer = "Bearer " + (await token.json()).access_token;
    const headers = {Authorization: bearer, Accept: "text/html"};
    const answer = await fetch(location.href, {headers});
    const shown = await answer.text();
    if ((answer.headers.get("content-type") || "").startsWith("text/html")) {
      document.open(); document.write(shown); document.close();
    } else {
      const plain = document.createElement("pre");
      plain.textContent = shown;
      document.body.replaceChildren(plain);
    }
  } catch {
    note.textContent = "The API does not answer; try again.";
  }
});
"""
_STYLE = """
label { display: block; margin: .5rem 0 } input { font: inherit; padding: .3rem; width: 16rem;
  max-width: 100%; display: block } button { font: inherit; padding: .3rem 1rem }
"""


def browser_page(request: Request, refusal: RefusedError) -> HTMLResponse | None:
    """Return the page for a browser that asks without a token; None for everybody else.

    Parameters
    ----------
    request
        What was asked for. A browser names HTML among what it accepts.
    refusal
        Why it is refused; its headers are sent too.
    """
    accepts_pages = "text/html" in request.headers.get("accept", "").lower()
    if refusal.status != HTTPStatus.UNAUTHORIZED or request.method != "GET" or not accepts_pages:
        return None
    root = str(request.scope.get("root_path", ""))
    address = f"{request.url.scheme}://{request.url.netloc}{request.url.path}"
    fleet = root.partition(FLEET_ROUTES)[2]
    card = f"presagio card --fleet {fleet}" if fleet else "presagio card"
    curl = f'curl -H "Authorization: Bearer $(presagio token)" {address}'
    body = f"""
<style>{_STYLE}</style>
<p>This page needs a token: {text(refusal.detail.partition(";")[0])}.</p>
<form data-token="{text(root)}/token">
<input type="hidden" name="grant_type" value="password">
<label>User <input name="username" autocomplete="username" required value="admin"></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required>
</label>
<button>Show the page</button> <strong id="note" role="alert"></strong>
</form>
<noscript><p>The form needs JavaScript; the ways below do not.</p></noscript>
<p class="note">The password of <code>admin</code> is <code>PRESAGIO_ADMIN_PASSWORD</code>, in
<code>.presagio/credentials.env</code> or in the settings of the API. Accounts are added with
<code>presagio account add NAME --kind user --scope predict</code>.</p>
<h2>Other ways</h2>
<ul>
<li>On the machine of the stack: <code>{text(card)}</code> writes the model card as a file.</li>
<li>From a shell: <pre>{text(curl)}</pre></li>
<li>In <a href="{text(root)}/docs">the API's documentation</a>: Authorize, then try it out.</li>
<li>In MLflow: <code>card.html</code>, among the artifacts of the run that made the version.</li>
</ul>
<script>{_SCRIPT}</script>"""
    headers = {**refusal.headers, "Vary": "Accept"}
    return HTMLResponse(page("Sign in", body), refusal.status, headers=headers)
