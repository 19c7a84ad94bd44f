// Pictures for people who have none at hand, drawn when asked for.

const SIZE = 640;

const DRAWINGS = {
  star(pen) {
    const points = Array.from({ length: 10 }, (_, i) => {
      const radius = i % 2 ? 118 : 285;
      const angle = (i * Math.PI) / 5 - Math.PI / 2;
      return [320 + radius * Math.cos(angle), 335 + radius * Math.sin(angle)];
    });
    pen.lineJoin = "round";
    pen.lineWidth = 44;
    const gold = pen.createRadialGradient(260, 240, 30, 320, 340, 330);
    gold.addColorStop(0, "#ffe58a");
    gold.addColorStop(1, "#f08a1d");
    pen.fillStyle = pen.strokeStyle = gold;
    pen.beginPath();
    points.forEach(([x, y]) => pen.lineTo(x, y));
    pen.closePath();
    pen.fill();
    pen.stroke();
    face(pen, 320, 330);
  },
  fish(pen) {
    const scales = pen.createLinearGradient(100, 150, 480, 480);
    scales.addColorStop(0, "#27b3a6");
    scales.addColorStop(1, "#1c4f9c");
    pen.fillStyle = scales;
    pen.beginPath();
    pen.moveTo(70, 320);
    pen.bezierCurveTo(140, 110, 380, 130, 470, 300);
    pen.bezierCurveTo(510, 240, 560, 200, 610, 190);
    pen.bezierCurveTo(575, 270, 575, 370, 610, 450);
    pen.bezierCurveTo(560, 440, 510, 400, 470, 340);
    pen.bezierCurveTo(380, 510, 140, 530, 70, 320);
    pen.fill();
    pen.strokeStyle = "#ffffff55";
    pen.lineWidth = 10;
    for (let x = 250; x <= 410; x += 52) {
      pen.beginPath();
      pen.arc(x - 60, 320, 84, -0.85, 0.85);
      pen.stroke();
    }
    eye(pen, 170, 280, 30);
  },
  ring(pen) {
    const glaze = pen.createConicGradient(0.3, 320, 320);
    ["#e8517f", "#f3a05c", "#f5d76a", "#7cc576", "#4fb3d9", "#9b6fd1", "#e8517f"]
      .forEach((colour, i, all) => glaze.addColorStop(i / (all.length - 1), colour));
    pen.strokeStyle = glaze;
    pen.lineWidth = 130;
    pen.beginPath();
    pen.arc(320, 320, 200, 0, 2 * Math.PI);
    pen.stroke();
  },
};

export const EXAMPLES = Object.keys(DRAWINGS);

/** @returns {Promise<File>} a PNG with a clear background */
export function example(name) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIZE, height: SIZE });
  DRAWINGS[name](canvas.getContext("2d"));
  return new Promise((done) => {
    canvas.toBlob((blob) => done(new File([blob], `${name}.png`, { type: "image/png" })), "image/png");
  });
}

function eye(pen, x, y, radius) {
  for (const [colour, share, shift] of [["#ffffff", 1, 0], ["#1d1b18", 0.6, 0.15], ["#ffffff", 0.2, -0.1]]) {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(x + shift * radius, y + shift * radius, radius * share, 0, 2 * Math.PI);
    pen.fill();
  }
}

function face(pen, x, y) {
  eye(pen, x - 55, y - 15, 26);
  eye(pen, x + 55, y - 15, 26);
  pen.strokeStyle = "#5c2e07";
  pen.lineWidth = 12;
  pen.lineCap = "round";
  pen.beginPath();
  pen.arc(x, y + 30, 46, 0.25, Math.PI - 0.25);
  pen.stroke();
}
