"""Looks at report pages in a browser: screenshots, and whether anything overflows or overlaps.

    python tests/html/look.py OUT PAGE.html...

Writes OUT/PAGE-{desktop,phone,dark}.png and OUT/PAGE.pdf, and exits with 1 if the page is wider
than the window or if letters of a chart overlap. Skipped, with the reason, without Playwright
(`pip install playwright`) or Chromium.
"""

import pathlib
import shutil
import sys

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync"]
VIEWS = {
    "desktop": dict(viewport=dict(width=1280, height=900), color_scheme="light"),
    "phone": dict(viewport=dict(width=390, height=844), color_scheme="light", device_scale_factor=2),
    "dark": dict(viewport=dict(width=1280, height=900), color_scheme="dark"),
}

# The page, and each element outside a scrolling frame, must fit the window; letters of a chart
# must not cover each other.
FAULTS = """() => {
  const faults = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width)
    faults.push(`page is ${document.documentElement.scrollWidth} px wide in ${width}`);
  const scrolls = e => { for (; e; e = e.parentElement) if (['auto', 'hidden'].includes(getComputedStyle(e).overflowX)) return true; };
  for (const e of document.querySelectorAll('main *, header *')) {
    const box = e.getBoundingClientRect();
    if (box.width && box.right > width + 1 && !scrolls(e))
      faults.push(`${e.tagName}.${e.getAttribute('class')} ends at ${box.right.toFixed()}: ${e.textContent.slice(0, 40)}`);
  }
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    if (!frame.width) continue;
    const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
    boxes.forEach(([a, p], i) => {
      if (p.left < frame.left - 1 || p.right > frame.right + 1 || p.top < frame.top - 1 || p.bottom > frame.bottom + 1)
        faults.push(`letters '${a}' leave their chart`);
      for (const [b, q] of boxes.slice(i + 1))
        if (Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1 && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 3)
          faults.push(`letters '${a}' and '${b}' overlap`);
    });
  }
  return [...new Set(faults)].slice(0, 10);
}"""


def main():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return print("skipped: Playwright is not installed")
    if CHROMIUM is None:
        return print("skipped: Chromium is not installed")
    out, pages = pathlib.Path(sys.argv[1]), [pathlib.Path(p).resolve() for p in sys.argv[2:]]
    out.mkdir(parents=True, exist_ok=True)
    found = False
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for page in pages:
            for view, settings in VIEWS.items():
                context = browser.new_context(offline=True, **settings)
                tab = context.new_page()
                tab.set_default_timeout(120_000)
                problems = []
                tab.on("console", lambda message: problems.append(message.text))
                tab.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else problems.append(f"asks for {request.url}"))
                tab.goto(page.as_uri())
                tab.screenshot(path=out / f"{page.stem}-{view}.png", full_page=True)
                if view == "desktop":
                    tab.pdf(path=out / f"{page.stem}.pdf", format="A4", print_background=False)
                problems += tab.evaluate(FAULTS)
                tab.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
                problems += tab.evaluate(FAULTS)
                for fault in dict.fromkeys(problems):
                    found = True
                    print(f"{page.name}, {view}: {fault}")
                context.close()
        browser.close()
    print(f"looked at {len(pages)} pages")
    sys.exit(found)


main()
