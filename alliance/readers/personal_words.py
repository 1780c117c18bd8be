"""Words that say a column holds a person's details, and words found in people's names, in five languages."""

from __future__ import annotations

NAME, EMAIL, PHONE, BIRTH, ADDRESS, NUMBER = (
    "a person's name",
    "an e-mail address",
    "a telephone number",
    "a date of birth",
    "a postal address",
    "a national, insurance or record number",
)


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


COLUMN_WORDS = {
    NAME: """
        name first_name last_name surname forename given_name family_name middle_name maiden_name full_name
        first_names name_first name_last first_and_last_name last_name_first_name first_last_name
        vorname nachname familienname zuname rufname geburtsname mädchenname vor_nachname vor_und_nachname
        name_vorname nachname_vorname vorname_nachname vollständiger_name
        prénom nom nom_famille nom_naissance nom_prénom nom_et_prénom prénom_nom prénom_et_nom
        nombre nombres apellido apellidos primer_apellido segundo_apellido nombre_y_apellido
        nombre_y_apellidos nombre_completo
        naam voornaam achternaam familienaam roepnaam tussenvoegsel volledige_naam meisjesnaam
    """,
    EMAIL: """
        email mail e_mail_address mail_address emailadresse mailadresse emailadres courriel adresse_mail
        adresse_email adresse_électronique correo correo_electrónico dirección_correo
    """,
    PHONE: """
        phone tel telephone phone_number phone_no tel_no telephone_number telephone_no mobile mobile_phone
        mobile_no mobile_number mobile_phone_number cell_phone cell_phone_number cell_number landline fax
        fax_number
        telefon telefonnummer telefon_nr tel_nr handy handynummer handy_nr mobil mobilnummer mobiltelefon
        festnetz
        téléphone numéro_téléphone téléphone_portable téléphone_mobile téléphone_fixe
        teléfono número_teléfono teléfono_móvil móvil
        telefoon telefoonnummer mobiel mobiel_nummer gsm_nummer
    """,
    BIRTH: """
        dob birth_date date_birth dateofbirth birthday b_date b_day birth_dt
        geburtsdatum geburtstag geb_datum geb_dat geb_tag geb
        date_naissance datedenaissance ddn naissance
        fecha_nacimiento f_nac nacimiento
        geboortedatum geboortedag geb_dt
    """,
    ADDRESS: """
        address street street_address street_name street_no street_number address_line postal_address
        mailing_address house_number house_no postcode postal_code zip zip_code
        adresse anschrift straße straße_und_hausnummer straße_hausnummer straße_nr hausnummer haus_nr plz
        postleitzahl postanschrift wohnadresse plz_ort
        rue adresse_postale code_postal
        dirección domicilio calle código_postal
        adres straat straatnaam huisnummer woonadres
    """,
    NUMBER: """
        ssn social_security social_security_number social_security_no nhs nhs_number nhs_no chi_number mrn
        medical_record_number medical_record_no hospital_number hospital_no insurance_number insurance_no
        insurance_id national_insurance_number national_id national_id_number passport passport_number
        passport_no medicare_number medicaid_number drivers_license drivers_license_number
        versichertennummer versicherten_nr versicherungsnummer versicherungs_nr krankenkassennummer kvnr
        kv_nummer sozialversicherungsnummer sv_nr sv_nummer ahv_nr ahv_nummer personalausweisnummer
        ausweisnummer passnummer steuer_id steueridentifikationsnummer
        numéro_sécurité_sociale num_sécu nir niss
        dni nif número_seguridad_social nhc historia_clínica número_historia_clínica
        bsn burgerservicenummer rijksregisternummer polisnummer
    """,
}
"""Kind → names of columns, in English, German, French, Spanish and Dutch, parts joined by underscores."""

QUALIFIERS = _set(
    """
    client clients patient patients participant respondent recipient person personal therapist clinician
    counsellor counselor contact emergency parent mother father partner guardian carer caregiver private home
    work primary secondary preferred legal your my the of s what is please enter
    klient klientin klienten patientin patienten teilnehmer teilnehmerin teilnehmers therapeut therapeutin
    therapeuten behandler behandlerin notfall privat dienstlich ihr ihre dein deine der des die bitte
    patiente thérapeute votre du de la le les l paciente terapeuta su del cliënt patiënt deelnemer uw van het
    """
)
"""Words beside them that change nothing: whose name, which telephone, articles."""

YES_NO = _set("0 1 yes no y n true false ja nein j oui non o si sí nee x given declined")
TITLES = _set("dr prof dipl psych med phd mr mrs ms miss herr frau mme mlle sr sra dhr mevr")
PARTICLES = _set("von van der den de la le el zu zum di da del ten ter")
GIVEN_NAMES = _set(
    """
    james john robert michael william david richard joseph thomas charles christopher daniel matthew anthony
    mark donald steven paul andrew joshua kenneth kevin brian george edward ronald timothy jason jeffrey ryan
    jacob gary nicholas eric jonathan stephen larry justin scott brandon benjamin samuel gregory frank patrick
    mary patricia jennifer linda elizabeth barbara susan jessica sarah karen lisa nancy betty margaret sandra
    ashley kimberly emily donna michelle carol amanda dorothy melissa deborah stephanie rebecca sharon laura
    cynthia kathleen amy angela shirley anna brenda pamela emma nicole helen samantha katherine christine
    oliver jack harry charlie oscar olivia amelia isla ava mia sophia sophie grace lily chloe lucy
    peter hans klaus jurgen gunter wolfgang werner horst manfred helmut heinz gerhard dieter bernd uwe ralf
    stefan andreas matthias martin frank jens jorg sven dirk tobias sebastian florian alexander felix lukas
    maximilian jonas leon finn niklas philipp fabian johannes karl friedrich otto max moritz
    ursula monika petra renate sabine helga karin brigitte ingrid erika andrea gisela claudia susanne gabriele
    christa christina katrin anja tanja nadine julia katharina lena lea hannah johanna marie heike birgit
    silke martina ulrike kerstin elke angelika eva maria erna hildegard greta frieda
    jean pierre michel andre philippe rene louis alain jacques bernard marcel francois nicolas laurent olivier
    julien guillaume antoine mathieu hugo lucas camille chantal sylvie isabelle nathalie catherine francoise
    monique jacqueline veronique sandrine celine aurelie manon juliette claire helene jeanne
    antonio jose manuel francisco juan javier carlos jesus alejandro miguel rafael angel pablo sergio fernando
    jorge luis alberto diego adrian raul ivan ruben alvaro carmen josefa isabel dolores pilar teresa ana
    francisca cristina marta mercedes lucia elena rosa raquel beatriz paula sara silvia ines
    jan johan johannes cornelis hendrik willem pieter gerrit jacobus dirk bram daan sem luuk thijs jeroen
    maarten joost wouter sander ruud kees henk piet johanna maria anna cornelia elisabeth wilhelmina anneke
    marieke femke sanne lotte fleur maaike saskia esther ingrid linda
    ali mohammed muhammad mohamed ahmed ahmet mehmet mustafa fatima fatma ayse aisha hassan omar yusuf
    olga irina natalia svetlana tatjana dmitri sergej vladimir igor piotr krzysztof agnieszka katarzyna
    giuseppe giovanni marco francesca giulia chiara
    """
)
"""Frequent given names, without accents."""
