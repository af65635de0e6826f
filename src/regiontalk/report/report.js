// Turns the figures of a photo into interactive views of the same data, shortly before they are scrolled to.
// Figures that cannot be turned stay as they are: they show the same, only at rest.
const views = JSON.parse(document.getElementById("report-data").textContent);

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

const near = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    mount(target);
  }
}, { rootMargin: "800px 0px" });
for (const article of document.querySelectorAll("article.photo")) near.observe(article);
