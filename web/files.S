/* files.S: embeds the files of the page in the binary as strings. */
#define FILE(name, path) .globl name; name: .incbin path; .byte 0
    .section .rodata
FILE(web_report_html, "web/report.html")
FILE(web_style_css, "web/style.css")
FILE(web_dygraph_css, "dygraph.min.css")
FILE(web_dygraph_js, "dygraph.min.js")
FILE(web_dygraph_licence, "web/dygraph-licence.txt")
FILE(web_chart_js, "web/chart.js")
FILE(web_heat_js, "web/heat.js")
FILE(web_report_js, "web/report.js")
FILE(web_lens_js, "web/lens.js")
    .section .note.GNU-stack, "", %progbits
