// Recommend songs from songs: by factors (implicit ALS), by embeddings, and mixed. Does not touch the document.
'use strict';

msd.recommenders = (() => {
  const LEVELS = 254; // as in scripts.py

  // Vectors of songs, one byte per number; see `packed_rows` in scripts.py. Both bounds are 0 for a song without a vector.
  function vectors(n, size) {
    const levels = new Uint8Array(n * size), lows = new Float32Array(n), highs = new Float32Array(n);
    const receive = (part, row) => {
      levels.set(msd.unpack(part.levels), row * size);
      lows.set(msd.unpack(part.low), row);
      highs.set(msd.unpack(part.high), row);
    };
    const known = (row) => lows[row] !== 0 || highs[row] !== 0;
    const vector = (row) => Float64Array.from(levels.subarray(row * size, (row + 1) * size), (level) => lows[row] + (level / LEVELS) * (highs[row] - lows[row]));
    // The products of all vectors with another.
    const products = (other) => {
      const total = other.reduce((sum, value) => sum + value, 0);
      return Float64Array.from(lows, (low, row) => {
        let sum = 0;
        for (let i = 0, at = row * size; i < size; i++) sum += levels[at + i] * other[i];
        return low * total + ((highs[row] - low) / LEVELS) * sum;
      });
    };
    return { n, size, receive, known, vector, products };
  }

  // Solve a symmetric positive definite system by Cholesky decomposition; both arguments are overwritten.
  function solve(left, right) {
    const n = right.length;
    for (let j = 0; j < n; j++) {
      for (let i = j; i < n; i++) {
        let sum = left[i * n + j];
        for (let k = 0; k < j; k++) sum -= left[i * n + k] * left[j * n + k];
        left[i * n + j] = i === j ? Math.sqrt(sum) : sum / left[j * n + j];
      }
    }
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < i; k++) right[i] -= left[i * n + k] * right[k];
      right[i] /= left[i * n + i];
    }
    for (let i = n - 1; i >= 0; i--) {
      for (let k = i + 1; k < n; k++) right[i] -= left[k * n + i] * right[k];
      right[i] /= left[i * n + i];
    }
    return right;
  }

  // The rows with the greatest products, best first; ties in row order.
  function best(of, against, chosen, depth) {
    const excluded = new Set(chosen), scores = of.products(against);
    const before = (a, b) => scores[b] - scores[a] || a - b;
    const rows = [];
    for (let row = 0; row < of.n; row++) {
      if (!of.known(row) || excluded.has(row)) continue;
      if (rows.length >= 4 * depth) rows.sort(before).length = depth;
      if (rows.length < depth || before(row, rows[depth - 1]) < 0) rows.push(row);
    }
    return rows.sort(before).slice(0, depth);
  }

  // A recommender, after loading the vectors file by file.
  async function create(content) {
    const { songs, rank, size } = content, gram = msd.unpack(content.gram);
    const factors = vectors(songs, rank), directions = vectors(songs, size);
    for (let row = 0, number = 0; row < songs; row += content.per_file, number++) {
      const part = await msd.take(`recommend-vectors-${number}`);
      factors.receive(part.factors, row);
      directions.receive(part.directions, row);
    }

    // Fold in a listener who played each selected song once: equation 4 of Hu, Koren and Volinsky (2008), as in
    // msd_spark/factors/confidence.py.
    function als(chosen) {
      const rated = chosen.filter(factors.known);
      if (!rated.length) return [];
      const left = Float64Array.from(gram), right = new Float64Array(rank);
      for (const row of rated) {
        const one = factors.vector(row);
        for (let i = 0; i < rank; i++) {
          right[i] += (1 + content.beyond) * one[i];
          for (let j = 0; j < rank; j++) left[i * rank + j] += content.beyond * one[i] * one[j];
        }
      }
      for (let i = 0; i < rank; i++) left[i * rank + i] += content.regularisation * rated.length;
      return best(factors, solve(left, right), chosen, content.depth);
    }

    // The greatest cosine similarities to the mean direction; directions have length 1 except for rounding.
    function byContent(chosen) {
      const mean = new Float64Array(directions.size);
      for (const row of chosen) if (directions.known(row)) directions.vector(row).forEach((value, i) => { mean[i] += value; });
      return mean.some((value) => value !== 0) ? best(directions, mean, chosen, content.depth) : [];
    }

    // Reciprocal rank fusion, as in msd_spark/factors/mixed.py: [row, rank in the first list, rank in the second].
    function fuse(lists) {
      const ranks = new Map();
      lists.forEach((rows, number) => rows.forEach((row, place) => {
        if (!ranks.has(row)) ranks.set(row, lists.map(() => null));
        ranks.get(row)[number] = place + 1;
      }));
      const fused = Array.from(ranks, ([row, places]) => {
        const least = Math.min(...places.filter((one) => one !== null));
        const score = places.reduce((sum, one) => (one === null ? sum : sum + 1 / (content.offset + one)), 0);
        return { entry: [row, ...places], score, least, list: places.indexOf(least) };
      });
      return fused.sort((a, b) => b.score - a.score || a.least - b.least || a.list - b.list).slice(0, content.length).map(({ entry }) => entry);
    }

    return (chosen) => {
      const lists = [als(chosen), byContent(chosen)];
      return { als: lists[0].slice(0, content.length), content: lists[1].slice(0, content.length), mixed: fuse(lists), known: chosen.filter(factors.known).length };
    };
  }

  return { create };
})();
