// The other figures, by Plotly, drawn when they come into sight, in the colours of the page.
'use strict';

msd.charts = (() => {
  const drawn = new Set();
  const CONFIG = { displaylogo: false, displayModeBar: window.matchMedia('(hover: hover)').matches ? 'hover' : false, responsive: true, modeBarButtons: [['zoom2d', 'pan2d', 'resetScale2d', 'toImage']], toImageButtonOptions: { format: 'svg' } };

  function themed(layout) {
    const { ink, line, paper, quiet } = msd.theme();
    const axis = { gridcolor: line, linecolor: line, zerolinecolor: quiet, tickcolor: line };
    return {
      margin: { l: 56, r: 14, t: 14, b: 50 }, legend: { orientation: 'h', yref: 'container', y: 0, yanchor: 'bottom', x: 0 }, ...layout,
      paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { color: ink, family: 'system-ui, sans-serif', size: 12 },
      hoverlabel: { bgcolor: paper, bordercolor: quiet, font: { color: ink } }, modebar: { color: quiet, activecolor: ink, bgcolor: 'rgba(0,0,0,0)' },
      xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis }, dragmode: false,
    };
  }

  async function plot(box, figure) {
    box.figure = figure;
    drawn.add(box);
    await msd.run('assets/plotly.min.js');
    return Plotly.react(box, figure.data, themed(figure.layout), CONFIG);
  }

  async function start() {
    const figures = await msd.load('charts');
    const watch = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        watch.unobserve(target);
        plot(target, figures[target.dataset.chart]);
      }
    }, { rootMargin: '300px' });
    document.querySelectorAll('[data-chart]').forEach((box) => watch.observe(box));
    msd.onTheme(() => drawn.forEach((box) => (box.isConnected ? plot(box, box.figure) : drawn.delete(box))));
  }

  return { plot, start };
})();
