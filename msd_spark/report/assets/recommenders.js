// Recommenders of songs from songs: by factors (implicit ALS), by embeddings, and both mixed. No element is touched here.
'use strict';

msd.recommenders = (() => {
  // Vectors from bytes, see msd_spark/report/data/song_vectors.py; a step of 0 marks a song that has none.
  function vectors({ size, zero, levels, steps }) {
    const bytes = msd.unpack(levels), step = msd.unpack(steps), values = new Float64Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) values[i] = (bytes[i] - zero) * step[Math.floor(i / size)];
    return { size, values, known: (row) => step[row] > 0, n: step.length };
  }

  function dot(of, row, other) {
    let sum = 0;
    for (let i = 0, at = row * of.size; i < of.size; i++) sum += of.values[at + i] * other[i];
    return sum;
  }

  // The solution of a symmetric positive definite system, by Cholesky's factors; both arguments are spent.
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

  // The rows of greatest score, best first, the first row first among equals.
  function best(of, against, chosen, depth) {
    const left = new Set(chosen), rows = [], scores = new Float64Array(of.n);
    for (let row = 0; row < of.n; row++) {
      if (!of.known(row) || left.has(row)) continue;
      scores[row] = dot(of, row, against);
      rows.push(row);
    }
    return rows.sort((a, b) => scores[b] - scores[a] || a - b).slice(0, depth);
  }

  function create(content) {
    const factors = vectors(content.factors), directions = vectors(content.directions), gram = msd.unpack(content.gram);
    const rank = factors.size;

    // A listener who played each chosen song once, folded in: equation 4 of Hu, Koren and Volinsky (2008), as
    // msd_spark/factors/confidence.py has it.
    function als(chosen) {
      const ours = chosen.filter(factors.known);
      if (!ours.length) return [];
      const left = Float64Array.from(gram), right = new Float64Array(rank);
      for (const row of ours) {
        const one = factors.values.subarray(row * rank, (row + 1) * rank);
        for (let i = 0; i < rank; i++) {
          right[i] += (1 + content.beyond) * one[i];
          for (let j = 0; j < rank; j++) left[i * rank + j] += content.beyond * one[i] * one[j];
        }
      }
      for (let i = 0; i < rank; i++) left[i * rank + i] += content.regularisation * ours.length;
      return best(factors, solve(left, right), chosen, content.depth);
    }

    // The greatest cosines to the mean direction; directions have length 1 but for the bytes' roundings.
    function byContent(chosen) {
      const { size, values } = directions, mean = new Float64Array(size);
      for (const row of chosen) if (directions.known(row)) for (let i = 0; i < size; i++) mean[i] += values[row * size + i];
      return mean.some((value) => value !== 0) ? best(directions, mean, chosen, content.depth) : [];
    }

    // Reciprocal-rank fusion, as msd_spark/factors/mixed.py has it: [row, rank in the first, rank in the second].
    function fuse(lists) {
      const ranks = new Map();
      lists.forEach((rows, number) => rows.forEach((row, place) => {
        if (!ranks.has(row)) ranks.set(row, lists.map(() => null));
        ranks.get(row)[number] = place + 1;
      }));
      const fused = Array.from(ranks, ([row, found]) => {
        const least = Math.min(...found.filter((one) => one !== null));
        const score = found.reduce((sum, one) => (one === null ? sum : sum + 1 / (content.offset + one)), 0);
        return { entry: [row, ...found], score, least, list: found.indexOf(least) };
      });
      return fused.sort((a, b) => b.score - a.score || a.least - b.least || a.list - b.list).slice(0, content.length).map(({ entry }) => entry);
    }

    return (chosen) => {
      const lists = [als(chosen), byContent(chosen)];
      return { als: lists[0].slice(0, content.length), content: lists[1].slice(0, content.length), mixed: fuse(lists), heard: chosen.filter(factors.known).length };
    };
  }

  return { create };
})();
