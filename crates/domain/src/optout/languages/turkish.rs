//! Turkish. What is not wanted is said by the verb's ending: `gönderme`, `göndermeyin`, `istemiyorum`.

use crate::optout::grammar::Language;

pub(super) const TURKISH: Language = Language {
    polite: "lütfen|lutfen|lütfn|teşekkürler|tesekkurler|teşekkür ederim|tşk|sağol|sağolun|merhaba|merhabalar|selam|selamlar|iyi günler|\
             iyi akşamlar|kolay gelsin|rica ediyorum|rica ederim|rica|zahmet olmazsa|mümkünse|hemen|derhal|acilen|saygılar|sayın|sayin|yetkili|abi|kardeşim|beyler",
    classes: &[
        (
            "msg",
            "mesaj/mesajı/mesajlar/mesajları/mesajlarını/mesajlarınızı/mesajınızı/mesajini/mesajdan/mesajlardan/msj/msg/mesajlarinizi|mesaj*|sms*|reklam*|kampanya/kampanyalar/kampanyaları/kampanyalarınızı/kampanyalardan|promosyon*|\
             bildirim*|spam*|tanıtım*|duyuru*|ileti/iletiler/iletileri/iletilerinizi|bülten*|fırsat*|whatsapp*|teklif*|pazarlama|ticari",
        ),
        (
            "mod",
            "bana|bize|beni|artık|bir|daha|bi|fazla|hiç|başka|bu|şu|tür|gibi|böyle|sizden|sizin|senden|tüm|bütün|her|sürekli|kere|asla|kesinlikle|yeter|numaraya|numarama|whatsapptan|dan|den|\
             ve|veya|almak|görmek|gelmesini|gelsin|atmanızı|göndermenizi|atılmasını|gönderilmesini|da|de|ki|tane|herhangi|ticari|tanıtım|reklam|kampanya|toplu|pazarlama|bilgilendirme|içerikli|şekilde|ya|yine|tekrar|boş|saçma|istenmeyen",
        ),
        (
            "notsend",
            "gönderme/göndermeyin/göndermeyiniz/göndermesin/göndermesinler/gönderilmesin/göndermeyiniz/gondermeyin/gonderme|atma/atmayın/atmayınız/atmasın/atmasınlar/atılmasın/atmayin|yollama/yollamayın/yollamayınız/yollamayin|\
             çekme/çekmeyin|iletme/iletmeyin|atmayınn|göndermeyınız/göndermeyin/göndermiyin/gondermiyin/atmiyin/atmıyın|paylaşmayın|gelmesin",
        ),
        (
            "notdo",
            "yazma/yazmayın/yazmayınız/yazmasın|ulaşma/ulaşmayın/ulaşmayınız|aramayın/arama/aramayınız|rahatsız etme/rahatsız etmeyin/rahatsız etmeyiniz|rahatsız etme|rahatsız etmeyin|rahatsız etmeyiniz|rahatsiz etmeyin|\
             iletişime geçmeyin|iletişime geçme|irtibata geçmeyin|spam yapmayın|spamlamayın|mesajlaşmayın|taciz etmeyin",
        ),
        (
            "wantnot",
            "istemiyorum/istemiyoruz/istemiyom/istemem/istemiyorm/istemiyrum/istmiyorum/istemiyorumm|almayayım|onaylamıyorum|izin vermiyorum|kabul etmiyorum|onay vermiyorum|rızam yok|iznim yok",
        ),
        (
            "end",
            "dur|durdur|durdurun|durdurunuz|durun|stop|ret|red|çık|çıkış|çıkar|iptal abonelik|abonelik iptal|abonelik iptali|üyelik iptal|kes|kesin|bırak|bırakın|son|sonlandır|sonlandırın|kapat|kapatın|yeter",
        ),
        (
            "stop",
            "durdur/durdurun/durdurunuz/durdurur|kes/kesin/kesiniz/keser|bırak/bırakın/bırakınız/bırakır|sonlandır/sonlandırın/sonlandırınız|kapat/kapatın|bitir/bitirin|engelle/engelleyin|iptal|son verin|son ver",
        ),
        (
            "remove",
            "sil/silin/siliniz/siler/silinsin/silinmesini|çıkar/çıkarın/çıkartın/çıkarınız/çıkarır/çıkart/çıkarılmasını/çıkarılmak/cikarin|kaldır/kaldırın/kaldırınız/kaldırılsın/kaldırılmasını|engelleyin|silermisiniz",
        ),
        (
            "mine",
            "numaramı/numaram/numaramızı/numarami|telefonumu|bilgilerimi|kaydımı|ismimi|adımı|hesap bilgilerimi|verilerimi|beni|kişisel verilerimi|bu numarayı|nomaramı/nomarami",
        ),
        (
            "list",
            "listeden/listenizden/listesinden/listelerinizden/listelerden/listeler|sistemden/sisteminizden|gruptan/grubunuzdan|rehberden/rehberinizden|kayıtlardan/kayıtlarınızdan|veritabanından/veritabanınızdan|abonelikten|üyelikten|datanızdan",
        ),
        (
            "why",
            "ilgilenmiyorum|yanlış numara|artık|evet|hayır|tamam|yeter|istiyorum|istiyoruz|bu|hemen|beni|bana|bir|daha|misiniz|mısınız|lan|ya",
        ),
    ],
    alone: &[
        "{why}* dur/durdur/durdurun/stop/ret/red/çık/çıkış/durun/durdurunuz/stopp {why}*",
        "{end} {msg}",
        "{mod}* {msg} {end}",
        "abonelik/abonelikten/üyelik/üyelikten/listeden {mod}* iptal/çık/çıkış/ayrıl/çıkmak/iptali {why}*",
        "iptal abonelik/üyelik",
        "{msg} {mod}* {wantnot} {why}*",
        "{mod}* {notsend} {mod}* {why}*",
    ],
    anywhere: &[
        "{msg} {mod}* {notsend}",
        "{msg} {mod}* {notdo}",
        "bana/bize {mod}* {notsend} $",
        "bir daha {mod}* {notsend} $",
        "artık {mod}* {notsend} $",
        "bana/bize/beni/bizi {mod}* {notdo}",
        "bir daha {mod}* {notdo}",
        "{notdo} {mod}* $",
        "rahatsız etmeyin/etme/etmeyiniz",
        "{msg} {mod}* {wantnot}",
        "{msg} {mod}* göndermenizi/atmanızı/almayı/atılmasını/gönderilmesini {mod}* {wantnot}",
        "{msg} {mod}* istemedim",
        "rahatsız edilmek {mod}* {wantnot}",
        "{msg} {mod}* {stop}",
        "{msg} {mod}* atmayı/göndermeyi/yollamayı/yazmayı/gönderimini/gönderimi {mod}* {stop}",
        "bana {mod}* yazmayı/atmayı/göndermeyi {stop}",
        "abonelikten/abonelik/aboneliğimi/aboneliğim/aboneliği/üyeliği/üyeliğimi/üyelikten {mod}* çık/çıkmak/çıkarım/çıkabilirim/çıkacağım/çıkayım/çıkılır/çıkar/çıkarın/iptal/sonlandır/sonlandırın/ayrılmak/çıkart/çıkıyorum",
        "{mine} {mod}* {list}? {mod}* {remove}",
        "{list} {mod}* {mine}? {remove}",
        "{list} {mine} {remove}",
        "{remove} {mine} {list}",
        "{list} çıkmak/çıkarılmak/ayrılmak/silinmek {mod}* istiyorum/istiyoruz/isterim",
        "{list} çık",
        "{list} çıkarın/çıkar/silin/sil {mine}",
        "numaramı/bilgilerimi/verilerimi/kaydımı sil*",
        "iznimi/onayımı/rızamı/iznim/izni {mod}* geri çek*/al*/iptal*",
        "iznimi/onayımı iptal*",
        "yeter {mod}* {msg}",
        "spam yapmayın/yapma",
        "beni rahat bırak*",
        "{msg} {mod}* izin vermiyorum/onay vermiyorum",
        "{msg} aboneliğinden/listesinden/listenizden {mod}* çık*/ayrıl*",
    ],
    keeps: &[
        "kesmeyin/bırakmayın/durdurmayın/çıkarmayın/silmeyin/çıkmayın/bırakma/durdurma/kesme/çıkarma/silme",
        "devam edin/et",
        "neden/niye/niçin ~6",
        "çıkmak/iptal/silinmek {mod}* {wantnot}",
        "kaçırmak {wantnot}",
        "gelmedi/gelmiyor/almadım/almıyorum/gelmemiş",
    ],
    guards: &[
        "toplantı*/meşgul*",
        "sipariş*/siparis*/randevu*/rezervasyon*/kargo*/kurye*/teslimat*/paket*/fiyat*/sepet*/ürün*/alışveriş*/ödeme*/kart*/fatura*/uçuş*/bilet*/masa*/sigorta*/spor/salonu/kod*/adres*/koli/ücret*/beden/renk/soğan*/iade*/taksit*/internet/hesabımı/fotoğraf*",
        "bugün/yarın/pazartesi/salı/çarşamba/perşembe/cuma/cumartesi/pazar/önce/kadar/henüz/sonra/akşam/sabah/gece/saat",
    ],
    doubts: &[
        "iptal/sil/kes/kapat/bırak/yeter/engelle/son/istemiyorum/istemem {why}*",
        "ilgilenmiyorum",
        "hayır",
        "çıkmak/ayrılmak istiyorum/istiyoruz",
        "iptal et/edin/ediyorum/istiyorum",
        "yanlış numara",
        "istemiyorum artık?",
        "kesin",
        "kayıt sil",
    ],
    hints: &[
        "numaramı nereden/nerden/kim",
        "numaram sizde",
        "bıktım {mod}* {msg}/sizden",
        "{msg} {mod}* bıktım",
        "çok fazla {msg}",
        "şikayet ediyorum/edeceğim/ederim",
        "engelliyorum/engelleyeceğim/engelledim",
        "bu spam/taciz",
        "ilgilenmiyorum",
    ],
    starts: &[
        "başla",
        "başlat",
        "abone ol",
        "abone olmak istiyorum",
        "tekrar/yeniden abone ol/olmak istiyorum?",
        "yeniden başlat/başla",
        "devam",
        "kayıt ol",
        "evet mesaj istiyorum",
        "tekrar {msg} istiyorum",
    ],
    spelled: &["mesajlarınızı"],
};
