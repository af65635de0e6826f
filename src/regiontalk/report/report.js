// Turns the figures of a photo into interactive views of the same data, shortly before they are scrolled to.
// Figures that cannot be turned stay as they are: they show the same, only at rest.
const { copyText, make, unsureText } = modules["parts.js"];
const views = JSON.parse(document.getElementById("report-data").textContent);
const articles = [...document.querySelectorAll("article.photo")];
const KINDS = {
  "All photos": () => true,
  "Unsure captions": ({ description }) => unsureText(description.caption) !== "",
  "Sentences not wholly found": ({ alignment }) => alignment?.phrases.some(({ sure, found }) => typeof sure === "number" && !found),
};

/** What was found in an article's photo; without an alignment where there is no sentence. */
function dataOf(article) {
  const own = [...article.querySelectorAll("[data-view]")].map(({ dataset }) => views[Number(dataset.view)]);
  const of = (kind) => own.find((view) => view.kind === kind)?.data;
  return { description: of("Description"), alignment: of("Alignment") };
}

function mount(article) {
  const photo = article.querySelector("image").getAttribute("href");
  const figures = [...article.querySelectorAll("[data-view] > figure")];
  const rooms = figures.map((figure) => {
    const room = document.createElement("div");
    figure.after(room); // before it is filled: a view may want to know how wide it is
    return room;
  });
  try {
    rooms.forEach((room) => {
      const { kind, data } = views[Number(room.parentElement.dataset.view)];
      regiontalkViews["mount" + kind](room, data, photo);
    });
    figures.forEach((figure) => figure.remove());
  } catch (error) {
    console.error(error);
    rooms.forEach((room) => room.remove());
  }
}

/** A button that copies the caption, below the photo's name. */
function addCopy(article) {
  const { file, caption } = dataOf(article).description;
  const button = make("button", { type: "button", class: "plain copy", "aria-label": `Copy caption of ${file}` }, "Copy caption");
  button.addEventListener("click", () => copyText(caption.text, button));
  article.querySelector("h2").after(button);
}

/** Above the photos: a field for words and a choice of kinds, which leave those photos that fit both. */
function addFilters() {
  const known = articles.map(dataOf);
  const texts = known.map(({ description, alignment }) => plain([
    description.file, description.caption.text, ...description.regions.map(({ caption }) => caption.text), alignment?.sentence ?? "",
  ].join(" ")));
  const kinds = Object.keys(KINDS).filter((kind) => known.some(KINDS[kind]));
  const field = make("input", { type: "search", autocomplete: "off" });
  const choice = make("select", {}, ...kinds.map((kind) => make("option", {}, kind)));
  const status = make("p", { class: "faint", role: "status" });
  const links = [...document.querySelectorAll("nav li")];
  const filter = () => {
    const words = plain(field.value).split(/\s+/);
    const fits = known.map((each, at) => Boolean(KINDS[choice.value](each)) && words.every((word) => texts[at].includes(word)));
    fits.forEach((fit, at) => {
      articles[at].hidden = !fit;
      if (links[at]) links[at].hidden = !fit;
    });
    const left = fits.filter(Boolean).length;
    status.textContent = left < fits.length ? `${left} of ${fits.length} photos` : "";
  };
  for (const type of ["input", "change"]) [field, choice].forEach((each) => each.addEventListener(type, filter));
  const parts = [make("label", {}, "Photos with the words ", field)];
  if (kinds.length > 1) parts.push(make("label", {}, "of ", choice));
  document.querySelector("main").prepend(make("div", { class: "filters", role: "search" }, ...parts, status));
}

function plain(text) {
  return text.normalize("NFKC").toLowerCase();
}

const near = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    mount(target);
  }
}, { rootMargin: "800px 0px" });
for (const article of articles) {
  near.observe(article);
  addCopy(article);
}
if (articles.length > 1) addFilters();
