// A QR code as one path of SVG. White ground and a quiet zone of four modules whatever the theme:
// cameras want dark on light.
import { useMemo } from "react";
import qrcode from "qrcode-generator";

const quiet = 4;

export function QRCode({ text, label }) {
  const { size, path } = useMemo(() => drawn(text), [text]);
  const whole = size + 2 * quiet;
  return (
    <svg className="qr" viewBox={`0 0 ${whole} ${whole}`} role="img" aria-label={label} shapeRendering="crispEdges">
      <rect width={whole} height={whole} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

function drawn(text) {
  const code = qrcode(0, "M");   // the smallest that holds the text; 15 % may be unreadable
  code.addData(text);
  code.make();
  const size = code.getModuleCount();
  let path = "";
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      if (code.isDark(row, column)) path += `M${column + quiet} ${row + quiet}h1v1h-1z`;
    }
  }
  return { size, path };
}
