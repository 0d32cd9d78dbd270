"""The page's style sheet: light, dark, narrow and paper."""

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#5b6570;--line:#d5dae0;--card:#f6f7f9;
--good:#14743c;--bad:#b3261e;--accent:#0b5cad;--data:#0b5cad;--dead:#d93025;--grid:#e7eaee;
--violet:#8e6bd1;--lilac:#b79be6;--indigo:#5468c9;--blue:#3f8fd9;--sky:#8ac3ee;--sand:#cbb98a;--teal:#1f9c8f;--grey:#9aa3ad;
--pink:#d669a7;--rose:#e58fb0;--orange:#e8862e;--yellow:#e3c229;--amber:#f0ab2e;--red:#d4573f;
--brown:#a8744c;--green:#4ba35a;--olive:#8aa23a;--slate:#7389a0}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e4e8ec;--dim:#9aa5b0;--line:#363d45;
--card:#1d2126;--good:#6ccf92;--bad:#ff8a80;--accent:#7db8f5;--data:#7db8f5;--dead:#ff6b5e;
--grid:#262c32}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,-apple-system,"Segoe UI",
Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
main,header,footer{max-width:1320px;margin:0 auto;padding:0 20px}
header{padding-top:26px}
h1{font-size:27px;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:20px;margin:44px 0 8px;padding-top:10px;border-top:2px solid var(--line)}
h3{font-size:16px;margin:26px 0 6px;overflow-wrap:anywhere}
p{margin:6px 0 12px;max-width:78ch}
.dim,.facts{color:var(--dim)}
.facts{margin:2px 0 12px;max-width:none}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:14px 0 0;font-size:14px}
a{color:var(--accent)}
.verdict{border:1px solid;border-left-width:6px;border-radius:6px;padding:9px 14px;margin:14px 0}
.verdict.good{border-color:var(--good)}.verdict.bad{border-color:var(--bad)}
.verdict b{color:var(--good)}.verdict.bad b{color:var(--bad)}
.verdict ul{margin:4px 0 0;padding-left:20px}
.verdict.open{border-color:var(--dim)}.verdict.open b{color:var(--dim)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(225px,1fr));gap:14px;margin:18px 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:9px;padding:13px 16px}
.card h3{margin:0 0 2px}
.big{font-size:31px;line-height:1.15;font-weight:650;font-variant-numeric:tabular-nums}
.big small{font-size:15px;font-weight:400;color:var(--dim)}
dl{display:grid;grid-template-columns:auto 1fr;gap:1px 12px;margin:8px 0 0;font-size:14px}
dt{color:var(--dim)}dd{margin:0;text-align:right;font-variant-numeric:tabular-nums;
overflow-wrap:anywhere}
.wide{overflow-x:auto;margin:8px 0 4px;-webkit-overflow-scrolling:touch}
svg{display:block;width:100%;height:auto;font-family:inherit;fill:var(--fg)}
.ladder{min-width:1000px;font-size:11.5px}
.gaps{max-width:1000px;min-width:560px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:8px 22px}
figure{margin:6px 0}figcaption{font-weight:600;font-size:14px;margin-bottom:3px}
figcaption span{font-weight:400;color:var(--dim)}
.life{stroke:var(--line);stroke-width:1.5}
.head{fill:var(--card);stroke:var(--dim)}
.role{text-anchor:middle;font-weight:700;font-size:13px}
.box{text-anchor:middle;font-size:9.5px;fill:var(--dim)}
.ctn{fill:none;stroke:var(--dim);stroke-dasharray:5 4}
.ctn-name{text-anchor:middle;font-size:11px;fill:var(--dim)}
.phase{fill:var(--c);fill-opacity:.3;stroke:var(--c)}
.phase.bad{stroke:var(--bad);stroke-width:2;stroke-dasharray:4 2}
.phase-name{font-size:11px}
.dead{fill:var(--dead);fill-opacity:.08}
.dead-bar rect{fill:var(--dead);fill-opacity:.8}
.reach{stroke:var(--fg);stroke-width:1.5}.reach.none{stroke:var(--dead);stroke-dasharray:2 3}
.reach-name{text-anchor:middle;font-weight:600;font-size:11px}
.arrow line{stroke:var(--fg);stroke-width:1.2}.arrow path{fill:var(--fg)}
.arrow.data line{stroke:var(--data);stroke-width:2.4}.arrow.data path{fill:var(--data)}
.arrow.strong line{stroke-width:2}
.dot{fill:var(--fg)}.dot.strong{fill:var(--dead)}
.label,.reach-name,.phase-name,.wait{paint-order:stroke;stroke:var(--bg);stroke-width:3.5px;
stroke-linejoin:round}
.phase-name{stroke:none}
.label.strong{font-weight:650}.label.data{fill:var(--data)}
.when,.wait{text-anchor:end;fill:var(--dim);font-size:10.5px;font-variant-numeric:tabular-nums}
.wait{font-style:italic;font-size:10px}
.plot,.gaps{font-size:11px}
.frame{fill:none;stroke:var(--line)}.grid{stroke:var(--grid)}
.tick,.axis{fill:var(--dim)}.mid{text-anchor:middle}.end{text-anchor:end}
.strip{fill:var(--c)}.shade{fill:var(--c);fill-opacity:.16}
.hole rect{fill:var(--dead);fill-opacity:.05}.hole line{stroke:var(--dead)}
.trigger{stroke:var(--fg);stroke-dasharray:3 3}
.due{fill:none;stroke:var(--dim);stroke-width:.8}
.many{fill:none;stroke:var(--data);stroke-width:2.6;stroke-linecap:round}
.one{fill:var(--data)}.lost{stroke:var(--dead)}.one.lost{fill:var(--dead);stroke:none}
.scheme{font-weight:600;font-size:12px}.figure{font-size:12px;font-variant-numeric:tabular-nums}
.run{fill:var(--data);fill-opacity:.55;stroke:var(--data)}
.median{stroke:var(--fg);stroke-width:2.5}.interval rect{fill:var(--data);fill-opacity:.18}
.bar{display:flex;height:26px;border-radius:4px;overflow:hidden;gap:1px}
.bar i{flex:1 1 0;min-width:1px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;
text-align:center;font-style:normal;font-size:12px;line-height:26px;
background:color-mix(in srgb,var(--c) 55%,var(--bg))}
.bar-line{display:grid;grid-template-columns:150px 1fr 100px;gap:12px;align-items:center;
margin:5px 0;font-size:14px}
.bar-line b{overflow-wrap:anywhere}.bar-line span{text-align:right;
font-variant-numeric:tabular-nums}
.key{display:flex;flex-wrap:wrap;gap:3px 15px;font-size:13px;color:var(--dim);margin:4px 0 10px;
padding:0;list-style:none}
.key i{display:inline-block;width:13px;height:11px;border-radius:2px;margin-right:5px;
background:var(--c);vertical-align:-1px}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums;margin:0}
caption{text-align:left;font-weight:600;padding-bottom:5px}
th,td{padding:3px 11px 3px 0;text-align:right;white-space:nowrap}
th{font-weight:600;border-bottom:1px solid var(--dim);vertical-align:bottom}
.l{text-align:left}tbody+tbody tr:first-child td{border-top:1px solid var(--line)}
tr.sub td{color:var(--dim)}
.checks{list-style:none;padding:0}.checks li{margin:2px 0;overflow-wrap:anywhere}
.mark{display:inline-block;min-width:74px;font-weight:600}
.mark.good{color:var(--good)}.mark.bad{color:var(--bad)}.mark.open{color:var(--dim)}
pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 15px;
overflow-x:auto;font-size:12.5px;line-height:1.45}
details>summary{cursor:pointer;font-weight:600;margin:10px 0}
footer{color:var(--dim);font-size:13px;margin-top:40px;padding-bottom:30px}
@media(max-width:600px){main,header,footer{padding-left:14px;padding-right:14px}h1{font-size:23px}
.bar-line{grid-template-columns:1fr auto}.bar-line .bar{grid-column:1/-1;grid-row:2}
.bar-line{margin:9px 0;gap:2px 12px}.plot{font-size:14px}}
@media print{:root{color-scheme:light;--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;--card:#fff;
--good:#14743c;--bad:#b3261e;--accent:#000;--data:#0b5cad;--dead:#d93025;--grid:#e2e2e2}
body{font-size:11px}nav{display:none}h2{break-after:avoid;margin-top:18px}h3{break-after:avoid}
.plots{grid-template-columns:1fr 1fr}.cards{grid-template-columns:repeat(4,1fr);gap:6px}
.card{padding:6px 8px}.big{font-size:20px}dl{font-size:9.5px}.key,.bar-line{font-size:10px}
.key{break-after:avoid}section>p,.facts{max-width:none}
details::details-content{content-visibility:visible;block-size:auto}
.wide{overflow:visible}.ladder,.gaps{min-width:0}figure,.card,table,.gaps{break-inside:avoid}
main,header,footer{max-width:none;padding:0}pre{white-space:pre-wrap;font-size:8.5px}
table{font-size:9.5px}.ladder{max-height:24cm;width:auto;margin:0 auto}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}@page{size:A4;margin:12mm}}
"""
