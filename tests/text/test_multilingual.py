# ruff: noqa: E501, RUF001 -- lines of other scripts count their letters double
"""Templates are found in any script: rows put together from a few words, some of them framed."""

import numpy as np
import pyarrow as pa
import pytest
from reference import spans_of_row

from synflaw_audit.text.fitting import fit
from synflaw_audit.text.tokens import tokenize

# Words, what joins them, how a sentence ends, and a frame as before and after.
LANGUAGES = {
    "chinese": (
        "老师 学生 昨天 明天 火车 城市 河流 山上 看见 喜欢 苹果 书本 下雨 晴天 朋友 回家 早晨 晚饭 很快 "
        "安静 颜色 蓝色 红色 音乐 唱歌 桥梁 花园 医生 机器 窗户 海边 冬天 夏天 汽车 邻居 电影 故事 数字",
        "",
        "。",
        ("您好，感谢您的提问。以下是我的详细回答：", "希望以上内容对您有所帮助！"),
    ),
    "japanese": (
        "先生 学生 昨日は 明日も 電車で 町へ 川の 山が 見える 好きな りんご 本を 雨の 晴れた 友達と 帰る "
        "朝から 夕食に すぐに 静かな 青い 赤い 音楽 歌って 橋まで 庭に 医者 機械が 窓から 海辺 冬の 夏に",
        "",
        "。",
        ("ご質問ありがとうございます。以下に詳しくお答えいたします。", "お役に立てれば幸いです。"),
    ),
    "arabic": (
        "معلم طالب أمس غدا قطار مدينة نهر جبل رأى أحب تفاحة كتاب مطر شمس صديق بيت صباح عشاء سريع "
        "هادئ لون أزرق أحمر موسيقى غناء جسر حديقة طبيب آلة نافذة بحر شتاء صيف سيارة جار قصة رقم",
        " ",
        ".",
        (
            "شكرا جزيلا على سؤالك الرائع. إليك الإجابة المفصلة: ",
            " أتمنى أن تكون هذه الإجابة مفيدة لك.",
        ),
    ),
    "hindi": (
        "शिक्षक छात्र कल आज रेलगाड़ी शहर नदी पहाड़ देखा पसंद सेब किताब बारिश धूप दोस्त घर सुबह भोजन जल्दी "
        "शांत रंग नीला लाल संगीत गाना पुल बगीचा डॉक्टर मशीन खिड़की समुद्र सर्दी गर्मी गाड़ी पड़ोसी कहानी",
        " ",
        "।",
        ("आपके प्रश्न के लिए धन्यवाद। यहाँ विस्तृत उत्तर दिया गया है: ", " आशा है कि यह जानकारी उपयोगी होगी।"),
    ),
    "code": (
        "return print len sum x y total = + - * / ( ) [ ] if else for in range while not and or "
        "value items key index count name path open read write close True None lambda def class",
        " ",
        "\n",
        ("```python\n# Here is the complete solution\n", "\n```\nThis code runs in linear time."),
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_frame_in_a_tenth_of_the_rows(language: str) -> None:
    vocabulary, space, stop, (before, after) = LANGUAGES[language]
    words = vocabulary.split()
    rng = np.random.default_rng(0)
    answers = [
        stop.join(
            space.join(words[i] for i in rng.integers(0, len(words), rng.integers(3, 7)))
            for _ in range(rng.integers(1, 3))
        )
        + stop
        for _ in range(600)
    ]
    planted = np.arange(600) % 10 == 0
    answers = [
        before + a.strip() + after if p else a for a, p in zip(answers, planted, strict=True)
    ]
    texts = pa.array(answers)
    tokens = tokenize(texts)
    book = fit(texts, tokens, np.arange(600))
    match = book.match(tokens)
    found = match.template >= 0
    assert found[planted].mean() >= 0.95
    assert found[~planted].mean() <= 0.02
    row = int(np.flatnonzero(planted & found)[0])
    told = spans_of_row(answers[row], tokens, match.covered, row)
    assert [answers[row][a:b] for a, b in told] == [before, after]
