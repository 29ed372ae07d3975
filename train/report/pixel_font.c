/* pixel_font.c: see pixel_font.h. */
#include "train/report/pixel_font.h"
#include <stddef.h>

/* From the space to the tilde. */
static const char ascii[95][9] = {
    "@@@@@@@@", "DDDDD@D@", "JJJ@@@@@", "JJ_J_JJ@", "DOTNE^D@", "XYBDHSC@", "LRTHURM@", "DDD@@@@@",
    "BDHHHDB@", "HDBBBDH@", "@DUNUD@@", "@DD_DD@@", "@@@@@LDH", "@@@_@@@@", "@@@@@LL@", "AABDHPP@",
    "NQSUYQN@", "DLDDDDN@", "NQAFHP_@", "NQAFAQN@", "BFJR_BB@", "_P^AAQN@", "FHP^QQN@", "_ABDHHH@",
    "NQQNQQN@", "NQQOABL@", "@LL@LL@@", "@LL@LDH@", "BDHPHDB@", "@@_@_@@@", "HDBABDH@", "NQABD@D@",
    "NQWUWPN@", "NQQ_QQQ@", "^QQ^QQ^@", "NQPPPQN@", "^QQQQQ^@", "_PP^PP_@", "_PP^PPP@", "NQPWQQN@",
    "QQQ_QQQ@", "NDDDDDN@", "GBBBBRL@", "QRTXTRQ@", "PPPPPP_@", "Q[UUQQQ@", "QYUUSQQ@", "NQQQQQN@",
    "^QQ^PPP@", "NQQQURM@", "^QQ^TRQ@", "OPPNAA^@", "_DDDDDD@", "QQQQQQN@", "QQQQQJD@", "QQQUU[Q@",
    "QQJDJQQ@", "QQJDDDD@", "_ABDHP_@", "NHHHHHN@", "PPHDBAA@", "NBBBBBN@", "DJQ@@@@@", "@@@@@@_@",
    "HDB@@@@@", "@@NAOQO@", "PP^QQQ^@", "@@NPPQN@", "AAOQQQO@", "@@NQ_PN@", "FHH^HHH@", "@@OQQOAN",
    "PPVYQQQ@", "D@LDDDN@", "B@FBBBRL", "PPRTXTR@", "LDDDDDN@", "@@ZUUUU@", "@@VYQQQ@", "@@NQQQN@",
    "@@^QQ^PP", "@@OQQOAA", "@@VYPPP@", "@@OPNA^@", "HH^HHIF@", "@@QQQSM@", "@@QQQJD@", "@@QUUUJ@",
    "@@QJDJQ@", "@@QQQOAN", "@@_BDH_@", "BDDHDDB@", "DDDDDDD@", "HDDBDDH@", "@@HUB@@@",
};
static const struct {
    uint32_t code_point;
    char rows[9];
} others[] = {
    {0x2423, "@@@@@Q_@"}, {0x21B5, "AAEI_HD@"}, {0x2409, "AIE_EIA@"}, {0x2026, "@@@@@@U@"}};

const char *pixel_glyph(uint32_t code_point)
{
    if (code_point >= ' ' && code_point <= '~')
        return ascii[code_point - ' '];
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i].code_point == code_point)
            return others[i].rows;
    return NULL;
}
