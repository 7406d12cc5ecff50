// Records which controls get the focus, and what is wrong with how each is shown then.
const luminance = colour => {
  const linear = part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const [red, green, blue] = colour.match(/[\d.]+/g).map(part => linear(part / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const contrast = (one, other) => {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
};
const ground = own => {
  for (let at = own.parentElement; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (colour !== 'rgba(0, 0, 0, 0)') return colour;
  }
  return 'rgb(255, 255, 255)';
};
const name = own => own.ariaLabel || own.innerText || own.name || own.tagName;
// A group of radio buttons is one stop.
const stop = own => own.type === 'radio' ? document.getElementsByName(own.name)[0] : own;
const controls = 'a[href], button, input:not([type=hidden]), select, textarea, summary';
const stops = () => [...new Set([...document.querySelectorAll(controls)]
  .filter(own => own.checkVisibility() && !own.disabled).map(stop))];

let visited = [];
const faults = new Set();
// What had no outline at some visit, and what had one at any. Each control is visited several
// times: a window that becomes active just then shows none.
const bare = new Set();
const outlined = new Set();
addEventListener('focusin', event => {
  const own = event.target;
  visited.push(stop(own));
  const style = getComputedStyle(own);
  if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2) {
    bare.add(own);
    return;
  }
  outlined.add(own);
  const box = own.getBoundingClientRect();
  if (box.width < 2 || box.height < 2) faults.add(`${name(own)} has the focus and cannot be seen`);
  const ratio = contrast(style.outlineColor, ground(own));
  if (ratio < 3) faults.add(`${name(own)} has an outline with a contrast of ${ratio}`);
});
const walk = {
  stops: () => stops().length,
  // Checks that one round goes to every control, from wherever the focus was, and begins anew.
  judge(isBackward) {
    const expected = isBackward ? stops().reverse() : stops();
    const isRound = (_, at) => expected.every((own, offset) => own === visited[at + offset]);
    if (!visited.some(isRound)) {
      const names = list => list.map(name).join(' | ');
      faults.add(`the focus goes to ${names(visited)} and not to ${names(expected)}`);
    }
    visited = [];
  },
  // Checks that no stop is below the next one, or to the right of it in one line.
  read() {
    const box = own => (own.closest('tr, .entry > div') ?? own).getBoundingClientRect();
    stops().reduce((before, own) => {
      const [first, next] = [box(before), box(own)];
      const isInLine = next.top < first.bottom && first.top < next.bottom;
      if (isInLine ? next.right <= first.left : next.bottom <= first.top) {
        faults.add(`${name(own)} comes after ${name(before)}, but is before it on the screen`);
      }
      return own;
    });
  },
  // Checks that nothing stays in its place when the page scrolls, and covers what has the focus.
  covers() {
    for (const own of document.querySelectorAll('body *')) {
      const { position } = getComputedStyle(own);
      if (['fixed', 'sticky'].includes(position)) faults.add(`${own.className} is ${position}`);
    }
  },
  faults() {
    const never = [...bare].filter(own => !outlined.has(own));
    return [...faults, ...never.map(own => `${name(own)} has no outline with the focus`)];
  },
};
window.walk = walk;
