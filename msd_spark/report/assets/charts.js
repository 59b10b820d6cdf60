// Charts by Plotly, drawn when they scroll into view, in the colours of the report; each can be saved as SVG and PNG.
'use strict';

msd.charts = (() => {
  const PAUSE = 3000; // milliseconds
  const drawn = new Set();
  const CONFIG = { displaylogo: false, displayModeBar: window.matchMedia('(hover: hover)').matches ? 'hover' : false, responsive: true, modeBarButtons: [['zoom2d', 'pan2d', 'resetScale2d']] };
  const PRINT = { paper: '#ffffff', ink: '#1c1c1a', quiet: '#63635e', line: '#d9d9d4' };
  const SIZES = { svg: { format: 'svg', width: 800 }, png: { format: 'png', width: 800, scale: 3 } };

  function themed(layout, { ink, line, paper, quiet }) {
    const axis = { gridcolor: line, linecolor: line, zerolinecolor: quiet, tickcolor: line };
    return {
      margin: { l: 56, r: 14, t: 14, b: 50 }, legend: { orientation: 'h', yref: 'container', y: 0, yanchor: 'bottom', x: 0 }, ...layout,
      paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { color: ink, family: 'system-ui, sans-serif', size: 12 },
      hoverlabel: { bgcolor: paper, bordercolor: quiet, font: { color: ink } }, modebar: { color: quiet, activecolor: ink, bgcolor: 'rgba(0,0,0,0)' },
      xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis }, dragmode: false,
    };
  }

  // A chart on white, whatever the theme of the report.
  const printed = ({ data, layout }) => ({ data, layout: { ...themed(layout, PRINT), paper_bgcolor: PRINT.paper } });

  // The address of every chart's SVG and PNG, by file name; see msd_spark/report/draw/files.py.
  async function images(charts) {
    const all = {};
    for (const [name, chart] of Object.entries(charts)) {
      for (const [format, size] of Object.entries(SIZES)) all[`${name}.${format}`] = await Plotly.toImage(printed(chart), { ...size, height: chart.layout.height });
    }
    return all;
  }

  function addButtons(box, chart) {
    const caption = box.parentElement.querySelector('figcaption');
    if (!caption || caption.querySelector('button')) return;
    for (const format of Object.keys(SIZES)) {
      const save = () => Plotly.downloadImage(printed(chart), { ...SIZES[format], height: chart.layout.height, filename: box.dataset.chart });
      const title = `Save as ${format.toUpperCase()}`;
      caption.append(' ', msd.element('button', { type: 'button', title, 'aria-label': title, onclick: save }, format.toUpperCase()));
    }
  }

  function draw(box, chart, theme = msd.theme()) {
    box.chart = chart;
    drawn.add(box);
    addButtons(box, chart);
    return Plotly.react(box, chart.data, themed(chart.layout, theme), CONFIG);
  }

  const redraw = () => drawn.forEach((box) => (box.isConnected ? plot(box, box.chart) : drawn.delete(box)));

  async function plot(box, chart) {
    await msd.run('assets/plotly.min.js');
    return draw(box, chart);
  }

  async function start() {
    const charts = await msd.load('charts');
    const watch = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        watch.unobserve(target);
        if (!drawn.has(target)) plot(target, charts[target.dataset.chart]);
      }
    });
    const boxes = document.querySelectorAll('[data-chart]');
    boxes.forEach((box) => watch.observe(box));
    // Printing cannot wait for a script, so Plotly is loaded before; drawing a chart then takes one step. Its five
    // megabytes would stop the map for a moment, so not at once.
    if (boxes.length) setTimeout(() => requestIdleCallback(() => msd.run('assets/plotly.min.js')), PAUSE);
    window.addEventListener('beforeprint', () => {
      if (window.Plotly) boxes.forEach((box) => draw(box, box.chart || charts[box.dataset.chart], PRINT));
    });
    window.addEventListener('afterprint', redraw);
    msd.onTheme(redraw);
  }

  return { plot, start, images };
})();
